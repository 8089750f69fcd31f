"""The embedded PostgreSQL server: started, given its role and database, and stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (a class with a lower-case name)
from psycopg2.extensions import encrypt_password

from skfleet.local.account import server_account
from skfleet.local.home import StateFolder
from skfleet.local.passwords import Passwords
from skfleet.local.ports import LOOPBACK, free_port
from skfleet.local.postgres_cluster import (
    PART,
    SUPERUSER,
    kill_servers_in,
    prepare_cluster,
    server_environment,
)
from skfleet.local.postgres_place import find_place, prepare_place
from skfleet.local.processes import Processes
from skfleet_common.contracts.errors import EnvironmentFault

#: Owns the database and is no superuser: a hostile expression cannot leave the database with it.
ROLE = "skfleet"
DATABASE = "skfleet"
START_SECONDS = 60.0
#: A fast shutdown writes a checkpoint first; an immediate one leaves the log to be replayed.
STOP_SIGNALS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0))

_OPTIONS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    # Chunks are short queries over many rows: compiling them takes longer than it saves.
    "jit": "off",
    # Nothing replicates this server; so a table can be loaded in its own transaction without a log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "timezone": "UTC",
}
#: Commits still outlive a crash of the server, but not one of the machine.
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class Postgres:
    """The database server of one state folder."""

    def __init__(self, folder: StateFolder, processes: Processes) -> None:
        self._folder = folder
        self._processes = processes

    @property
    def dsn(self) -> str:
        """Give the URL of the database, with the unprivileged role and its password."""
        port = self._processes.state.ports[PART]
        return f"postgresql://{ROLE}:{Passwords.load(self._folder).role}@{LOOPBACK}:{port}/{DATABASE}"

    def start(self, *, durable: bool) -> list[str]:
        """Start the server on its data, made if need be; gives what a person should know."""
        notices = []
        link = self._folder.postgres
        if link.is_symlink() and not link.exists():
            notices.append(
                f"The database's folder {link.readlink()} is gone, and its tables with it; "
                "a new database was made."
            )
        account = server_account()
        place = prepare_place(self._folder, account)
        prepare_cluster(self._folder, place, self._processes, durable=durable)
        ports = self._processes.state.ports
        port = free_port(preferred=ports.get(PART), taken=[ports[part] for part in ports if part != PART])
        if ports.get(PART, port) != port:
            notices.append(f"Port {ports[PART]} is taken, so PostgreSQL listens on {port} now.")
        self._processes.update(ports={**ports, PART: port})
        options = _OPTIONS | {"port": str(port)} | ({} if durable else _NOT_DURABLE)
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._processes.start(
            PART,
            [place.program("postgres"), "-D", place.data, *words],
            environment=server_environment(),
            within=Path("/"),
            account=account,
        )
        return notices

    def wait_until_ready(self) -> None:
        """Wait for the server to answer, then make its role and database if they are missing.

        Raises:
            EnvironmentFault: it ended, or does not answer in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._make_role()
            except psycopg2.OperationalError as exc:
                if self._processes.find(PART) is None or time.monotonic() > deadline:
                    raise EnvironmentFault(
                        f"PostgreSQL does not start; its log {self._folder.log_of(PART)} says why."
                    ) from exc
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop the server; what was committed stays."""
        self._processes.stop([PART], *STOP_SIGNALS)
        place = find_place(self._folder, server_account())
        if place is not None:
            kill_servers_in(place.data)

    def _make_role(self) -> None:
        password = Passwords.load(self._folder).role
        with self._superuser("postgres") as session, session.cursor() as cursor:
            cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (ROLE,))
            if not cursor.rowcount:
                # The server gets a verifier, so that no log can ever show the password.
                verifier = encrypt_password(password, ROLE, session, "scram-sha-256")
                cursor.execute(f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER PASSWORD %s", (verifier,))
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if not cursor.rowcount:
                cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        with self._superuser(DATABASE) as session, session.cursor() as cursor:
            cursor.execute(f"ALTER SCHEMA public OWNER TO {ROLE}")

    @contextmanager
    def _superuser(self, database: str) -> Iterator[Connection]:
        session = psycopg2.connect(
            host=LOOPBACK,
            port=self._processes.state.ports[PART],
            user=SUPERUSER,
            password=Passwords.load(self._folder).superuser,
            dbname=database,
            connect_timeout=5,
            # The user's own PGSSLMODE and PGOPTIONS are meant for other servers.
            sslmode="disable",
            options="",
        )
        with closing(session):
            session.autocommit = True
            yield session
