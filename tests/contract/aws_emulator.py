"""An AWS emulator of the tests' own, and fleets on it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from skfleet_common.aws.session import Cloud, connect_cloud, create_fleet
from skfleet_common.settings import Settings

START_SECONDS = 60


@contextmanager
def private_emulator() -> Iterator[str]:
    """Start an emulator on a free port of 127.0.0.1 and give its endpoint; nothing of it stays."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="skfleet-aws-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env=os.environ
            | {
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(port),
                "SFTP_ENABLED": "0",
                "IOT_MTLS_ENABLED": "0",
                "LOG_LEVEL": "WARNING",
                "TMPDIR": folder,
            },
            cwd=folder,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_until_healthy(process, endpoint)
            yield endpoint
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(process: subprocess.Popen[bytes], endpoint: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"the emulator ended with {process.returncode}"
        assert time.monotonic() < deadline, "the emulator did not become healthy"
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2):  # noqa: S310  (http, from above)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)


def new_settings(endpoint: str) -> Settings:
    """Name a fleet that nobody else uses."""
    fleet = f"test-{uuid.uuid4().hex[:12]}"
    return Settings(fleet=fleet, bucket=f"skfleet-{fleet}", aws_endpoint_url=endpoint, poll_seconds=1)


@contextmanager
def new_fleet(endpoint: str) -> Iterator[Cloud]:
    """Create a fleet and connect to it."""
    settings = new_settings(endpoint)
    create_fleet(settings)
    with closing(connect_cloud(settings)) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """An emulator for the whole session."""
    with private_emulator() as endpoint:
        yield endpoint


@pytest.fixture
def fleet_settings(aws_endpoint: str) -> Settings:
    """Settings of a fleet that does not exist yet."""
    return new_settings(aws_endpoint)


@pytest.fixture
def cloud(aws_endpoint: str) -> Iterator[Cloud]:
    """A fleet of the test's own."""
    with new_fleet(aws_endpoint) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def module_cloud(aws_endpoint: str) -> Iterator[Cloud]:
    """A fleet for all tests of a module, which keep to job ids of their own."""
    with new_fleet(aws_endpoint) as cloud:
        yield cloud
