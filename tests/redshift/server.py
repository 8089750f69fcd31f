"""The server: a listener on 127.0.0.1, its accounts and roles, and the faults that a test asks for."""

from __future__ import annotations

import json
import re
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions

from tests.redshift.dialect import Dialect
from tests.redshift.parameters import REDSHIFT_ONLY, check_parameter
from tests.redshift.refusal import Refusal, s3_failure
from tests.redshift.session import Session
from tests.redshift.unload import Unloading
from tests.redshift.wire import Gone

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


@dataclass
class Fault:
    """Something to go wrong with the next ``times`` statements that match ``pattern``."""

    pattern: re.Pattern[str]
    times: int
    refusal: Refusal | None = None
    seconds: float = 0.0
    kills: bool = False
    loses_reply: bool = False


@dataclass
class RedshiftServer:
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
    _faults: list[Fault] = field(default_factory=list)
    _sessions: dict[int, Session] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, *, user: str = "fleet_owner", password: str = "not%20a%20secret", host: str = "127.0.0.1",
            database: str | None = None) -> str:  # fmt: skip
        """Give an address to connect to."""
        name = database or extensions.parse_dsn(self.backend_url)["dbname"]
        return f"postgresql://{user}:{password}@{host}:{self.port}/{name}"

    def seed(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL in the backend itself, as its superuser and in PostgreSQL's dialect."""
        with closing(psycopg2.connect(self.backend_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []

    def describe(self, table: str, **traits: Any) -> None:
        """Say of a table what SVV_TABLE_INFO shows: stats_off, unsorted, skew_rows, deleted_rows, diststyle …

        ``external_location`` makes it one of an external schema.
        """
        said = json.dumps(traits).replace("'", "''")
        self.seed(f"SELECT redshift.note_traits('{table}'::regclass, '{said}')")

    def fail(self, pattern: str, refusal: Refusal, *, times: int = 1) -> None:
        """Refuse the next statements that match."""
        self._faults.append(Fault(re.compile(pattern, re.IGNORECASE | re.DOTALL), times, refusal=refusal))

    def slow(self, pattern: str, seconds: float, *, times: int = 1) -> None:
        """Let the next statements that match take longer; they can be cancelled and time out."""
        self._faults.append(Fault(re.compile(pattern, re.IGNORECASE | re.DOTALL), times, seconds=seconds))

    def kill(self, pattern: str, *, after: bool = False, times: int = 1) -> None:
        """Cut the connection before the next statements that match run, or after, the reply being lost."""
        self._faults.append(
            Fault(re.compile(pattern, re.IGNORECASE | re.DOTALL), times, kills=not after, loses_reply=after)
        )

    def kill_sessions(self) -> None:
        """Cut every connection, at once."""
        for session in list(self._sessions.values()):
            session.kill()

    def expire(self, user: str) -> None:
        """End the validity of a user's password; sessions go on, as they do."""
        account = self.accounts.get(user) or Account("", "", "")
        self.accounts[user] = Account(account.password, account.role, account.role_password, expires_at=0.0)

    def expire_role_session(self, pattern: str = "unload|copy", *, times: int = 1) -> None:
        """Let S3 say of the role's credentials that they have expired."""
        said = s3_failure("ExpiredToken", 400, "The provided token has expired.", context="S3")
        self.fail(pattern, said, times=times)

    def heal(self) -> None:
        """Take every fault back."""
        self._faults.clear()
        self.refused_actions.clear()
        self.roles = frozenset({ROLE, "default"})

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

    def connect_backend(self, user: str, said: dict[str, str], dialect: Dialect) -> extensions.connection:
        """Connect to the backend as the role that the user stands for."""
        parts = extensions.parse_dsn(self.backend_url)
        account = self.accounts.get(user) or next(iter(self.accounts.values()))
        options = _BACKEND_OPTIONS
        for name, value in re.findall(r"-c\s*(\w+)=((?:\\.|\S)*)", said.get("options", "")):
            check_parameter(name.lower())
            prefix = "redshift." if name.lower() in REDSHIFT_ONLY else ""
            options += f" -c {prefix}{name}={value}"
            if name.lower() == "enable_case_sensitive_identifier":
                dialect.case_sensitive = value.lower() in {"on", "true", "1"}
        try:
            connection = psycopg2.connect(
                host=parts["host"], port=parts["port"], dbname=said.get("database", user), user=account.role,
                password=account.role_password, options=options, sslmode="disable", gssencmode="disable",
                application_name=said.get("application_name", ""), client_encoding="UTF8",
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
        with self._lock:
            self.statements.append(sql)
            fault = next((f for f in self._faults if f.times > 0 and f.pattern.search(sql)), None)
            if fault is None:
                return False
            fault.times -= 1
        if fault.refusal is not None:
            raise fault.refusal
        if fault.seconds:
            try:
                with session.backend.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(%s)", (fault.seconds,))
            except psycopg2.Error as exc:
                raise Refusal(
                    exc.diag.message_primary or str(exc), sqlstate=exc.diag.sqlstate or "57014"
                ) from exc
        if fault.kills:
            raise Gone
        return fault.loses_reply

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

    with Listener(("127.0.0.1", 0), Handler) as listener:
        server = RedshiftServer(
            port=listener.server_address[1],
            backend_url=backend_url,
            s3_endpoint=s3_endpoint,
            tls=tls,
            accounts=accounts,
        )
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            server.kill_sessions()
            thread.join()


def _install(backend_url: str) -> None:
    with closing(psycopg2.connect(backend_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace('redshift')")
        if cursor.fetchone() == (None,):
            cursor.execute(Path(__file__).with_name("catalogue.sql").read_text())
