"""The server: a listener on 127.0.0.1, its accounts and roles, and the faults that a test asks for."""

from __future__ import annotations

import json
import re
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2 import extensions

from tests.contract.private_postgres import OWNER, PASSWORD
from tests.redshift.faults import Faulty
from tests.redshift.refusal import Refusal
from tests.redshift.session import Session
from tests.redshift.unload import Unloading

#: A role that the cluster may take on, until a test says otherwise.
ROLE = "arn:aws:iam::000000000000:role/redshift"

_BACKEND_OPTIONS = (
    "-c standard_conforming_strings=off -c escape_string_warning=off -c backslash_quote=on -c TimeZone=UTC "
    "-c default_transaction_isolation=repeatable\\ read"
)
_EXPIRED = Refusal("IAM Authentication token has expired", sqlstate="28000")


@dataclass(frozen=True)
class Account:
    """Who may connect, and as whom in the backend."""

    password: str
    role: str
    role_password: str
    expires_at: float | None = None


@dataclass(kw_only=True)
class RedshiftServer(Faulty):
    """A running server in front of a PostgreSQL; the attributes may be changed while it runs."""

    port: int
    backend_url: str
    s3_endpoint: str
    tls: ssl.SSLContext | None = None
    needs_tls: bool = False
    accounts: dict[str, Account] = field(default_factory=dict)
    #: What names begin with whose password is not looked at, as long as no account says otherwise.
    trusted_prefixes: tuple[str, ...] = ("IAM:", "IAMR:", "IAMA:")
    roles: frozenset[str] = frozenset({ROLE, "default"})
    #: Actions that the role's policy lacks, such as ``s3:PutObject``.
    refused_actions: set[str] = field(default_factory=set)
    unloading: Unloading = field(default_factory=Unloading)
    #: What clients sent, in order.
    statements: list[str] = field(default_factory=list)
    _sessions: dict[int, Session] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, *, user: str = OWNER, password: str = PASSWORD, host: str = "127.0.0.1") -> str:
        """Give an address to connect to."""
        name = extensions.parse_dsn(self.backend_url)["dbname"]
        return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{host}:{self.port}/{name}"

    def seed(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL in the backend itself, as its superuser and in PostgreSQL's dialect."""
        with closing(psycopg2.connect(self.backend_url, options="-c statement_timeout=60s")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []

    def describe(self, table: str, **traits: Any) -> None:
        """Say of a table what SVV_TABLE_INFO shows, such as stats_off, unsorted, skew_rows or deleted_rows.

        ``external_location`` makes it one of an external schema.
        """
        said = json.dumps(traits).replace("'", "''")
        self.seed(f"SELECT redshift.note_traits('{table}'::regclass, '{said}')")

    def kill_sessions(self) -> None:
        """Cut every connection, at once."""
        for session in list(self._sessions.values()):
            session.kill()

    def expire(self, user: str) -> None:
        """End the validity of a user's password; sessions go on, as they do."""
        account = self.accounts.get(user) or Account("", "", "")
        self.accounts[user] = Account(account.password, account.role, account.role_password, expires_at=0.0)

    def heal(self) -> None:
        """Take back what a test changed."""
        self.forgive()
        self.refused_actions.clear()
        self.statements.clear()
        self.roles = frozenset({ROLE, "default"})
        self.needs_tls = False
        self.unloading = Unloading()

    # What sessions ask.

    def check_password(self, user: str, matches: Callable[[str], bool]) -> None:
        """Refuse a user who is not known, or whose password is another or no longer valid."""
        account = self.accounts.get(user)
        if account is None:
            if user.startswith(self.trusted_prefixes):
                return
            raise Refusal(f'password authentication failed for user "{user}"', sqlstate="28000")
        if account.expires_at is not None and time.time() >= account.expires_at:
            raise _EXPIRED
        if not matches(account.password):
            raise Refusal(f'password authentication failed for user "{user}"', sqlstate="28000")

    def connect_backend(
        self, user: str, database: str, *, options: str, application: str
    ) -> extensions.connection:
        """Connect to the backend as the role that the user stands for."""
        parts = extensions.parse_dsn(self.backend_url)
        account = self.accounts.get(user) or next(iter(self.accounts.values()))
        try:
            connection = psycopg2.connect(
                host=parts["host"], port=parts["port"], dbname=database or user, user=account.role,
                password=account.role_password, options=_BACKEND_OPTIONS + options, sslmode="disable",
                gssencmode="disable", application_name=application, client_encoding="UTF8",
            )  # fmt: skip
        except psycopg2.OperationalError as exc:
            raise Refusal(str(exc).split("FATAL:")[-1].strip(), sqlstate="3D000") from exc
        connection.autocommit = True
        return connection

    def join(self, session: Session) -> None:
        with self._lock:
            self._sessions[session.backend.info.backend_pid] = session

    def leave(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session.backend.info.backend_pid, None)

    def cancel(self, pid: int, key: int) -> None:
        """Cancel what a session does, if the key is its own."""
        session = self._sessions.get(pid)
        if session is not None and session.key == key:
            session.backend.cancel()

    def meet(self, session: Session, sql: str) -> bool:
        """Note a statement, and let happen to it what a test asked for; tell if its reply is to be lost.

        Raises:
            Refusal: it is to fail.
            Gone: its session is to end.
        """
        self.statements.append(sql)
        fault = self.fault_for(sql)
        return fault is not None and fault.strike(session.backend)

    def note_load_error(self, file: str, refusal: Refusal) -> None:
        """Keep what went wrong with a COPY, also when its transaction is undone."""
        context = re.search(r"context: +(.*)", refusal.detail)
        code = re.search(r"code: +(\d+)", refusal.detail)
        with (
            closing(psycopg2.connect(self.backend_url)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "SELECT redshift.note_load_error(%s, NULL, NULL, NULL, %s, %s)",
                (
                    file,
                    context.group(1) if context else refusal.message,
                    int(code.group(1)) if code else None,
                ),
            )


@contextmanager
def redshift_server(
    backend_url: str, s3_endpoint: str, *, accounts: dict[str, Account], tls: ssl.SSLContext | None = None
) -> Iterator[RedshiftServer]:
    """Run a server in front of the database of ``backend_url``, which names the superuser."""
    _install(backend_url)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            Session(server, self.request).run()

    class Listener(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 128

    with Listener(("127.0.0.1", 0), Handler) as listener, _front(listener.server_address[1]) as port:
        server = RedshiftServer(
            port=port, backend_url=backend_url, s3_endpoint=s3_endpoint, tls=tls, accounts=accounts
        )
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            server.kill_sessions()
            thread.join()


@contextmanager
def _front(back_port: int) -> Iterator[int]:
    script = Path(__file__).with_name("front.py")
    process = subprocess.Popen(
        [sys.executable, "-P", script, str(back_port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def _install(backend_url: str) -> None:
    with closing(psycopg2.connect(backend_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace('redshift')")
        if cursor.fetchone() == (None,):
            cursor.execute(Path(__file__).with_name("catalogue.sql").read_text())
