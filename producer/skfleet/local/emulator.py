"""The embedded AWS emulator: ministack in a process of its own, on 127.0.0.1 alone."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from skfleet.local.home import StateFolder
from skfleet.local.ports import LOOPBACK, free_port
from skfleet.local.processes import Processes
from skfleet_common.contracts.errors import EnvironmentFault

PART = "emulator"
START_SECONDS = 60.0
#: It writes all queues and tables on SIGTERM, which takes seconds for millions of items.
STOP_SIGNALS = ((signal.SIGTERM, 120.0),)

#: What a fleet and its later scaling use. Others stay off: Lambda, for one, would run code for whoever
#: on this machine asks for it.
_SERVICES = "s3,sqs,dynamodb,sns,sts,iam,monitoring,logs,autoscaling,ec2"
#: The services whose state only a clean stop writes down.
_SNAPSHOTS = ("sqs.json", "dynamodb.json")
#: What Python itself and the system's libraries need of our environment.
_INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
)


class Emulator:
    """The emulator of one state folder."""

    def __init__(self, folder: StateFolder, processes: Processes) -> None:
        self._folder = folder
        self._processes = processes

    @property
    def endpoint_url(self) -> str:
        """Give the URL of all its services."""
        return f"http://{LOOPBACK}:{self._processes.state.ports[PART]}"

    def start(self) -> list[str]:
        """Start it on what it saved last; gives what a person should know."""
        is_hung = self._processes.find(PART) is not None
        notices = self.stop() if is_hung else self._loss()
        self._processes.kill_remains(PART)
        remembered = self._processes.state.ports.get(PART)
        taken = {port for part, port in self._processes.state.ports.items() if part != PART}
        port = free_port(preferred=remembered, taken=taken)
        if remembered not in {None, port}:
            notices.append(f"Port {remembered} is taken, so the AWS emulator listens on {port} now.")
        self._processes.update(
            ports={**self._processes.state.ports, PART: port}, snapshots_at=self._saved_at()
        )
        for folder in (self._snapshots, self._objects, self._scratch):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._processes.start(
            PART,
            # -P keeps a file of the user's that is called like a module from being imported.
            [sys.executable, "-P", "-m", "ministack"],
            environment=self._environment(port),
            within=self._scratch,
        )
        return notices

    def wait_until_ready(self) -> None:
        """Wait for it to answer.

        Raises:
            EnvironmentFault: it ended, or does not answer in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._processes.find(PART) is None or time.monotonic() > deadline:
                raise EnvironmentFault(
                    f"The AWS emulator does not start; its log {self._folder.log_of(PART)} says why."
                )
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether our own process is there and answers."""
        if self._processes.find(PART) is None:
            return False
        # Not urllib, which would ask a proxy from the environment.
        connection = http.client.HTTPConnection(LOOPBACK, self._processes.state.ports[PART], timeout=2)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> list[str]:
        """Have it save everything and end; gives what a person should know."""
        was_up = PART in self._processes.recorded()
        self._processes.stop([PART], *STOP_SIGNALS)
        if not was_up or self._has_saved():
            return []
        return [
            "The AWS emulator ended without saving its queues and tables; its log "
            f"{self._folder.log_of(PART)} says why (a full disk?). Objects and the database are kept."
        ]

    def _loss(self) -> list[str]:
        """Tell of a crash: a run that we did not stop, and that wrote nothing down at its end."""
        if PART not in self._processes.recorded() or self._has_saved():
            return []
        saved_at = self._saved_at()
        since = (
            f"since they were last saved ({datetime.fromtimestamp(saved_at, UTC):%Y-%m-%d %H:%M:%S} UTC)"
            if saved_at
            else "(nothing had been saved yet)"
        )
        return [
            f"The AWS emulator had not stopped cleanly: messages and job records {since} are lost. "
            "Objects (models, outputs) and the database are kept. Submit unfinished jobs again."
        ]

    def _has_saved(self) -> bool:
        return self._saved_at() != self._processes.state.snapshots_at

    def _saved_at(self) -> float | None:
        """Give when the queues and tables were last written down, all of them."""
        try:
            return min((self._snapshots / name).stat().st_mtime for name in _SNAPSHOTS)
        except FileNotFoundError:
            return None

    def _environment(self, port: int) -> dict[str, str]:
        return {name: os.environ[name] for name in _INHERITED if name in os.environ} | {
            "BIND_HOST": LOOPBACK,
            "MINISTACK_HOST": LOOPBACK,
            "GATEWAY_PORT": str(port),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self._snapshots),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self._objects),
            "TMPDIR": str(self._scratch),
            "SERVICES": _SERVICES,
            # These two would listen on ports of their own, on every interface.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            # At start and stop it removes all containers labelled as some ministack's, also another user's.
            "DOCKER_HOST": f"unix://{self._scratch}/no-docker",
            "LOG_LEVEL": "WARNING",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def _snapshots(self) -> Path:
        return self._folder.aws / "state"

    @property
    def _objects(self) -> Path:
        return self._folder.aws / "s3"

    @property
    def _scratch(self) -> Path:
        return self._folder.aws / "tmp"
