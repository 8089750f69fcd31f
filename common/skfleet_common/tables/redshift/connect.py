"""Connections: verified, bounded in time, in one pinned output format, with errors translated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import psycopg2
import psycopg2.extensions

from skfleet_common.contracts.errors import SkfleetError, UsageError
from skfleet_common.contracts.logins import Logins
from skfleet_common.tables.redshift.addresses import PORT, RedshiftAddress
from skfleet_common.tables.redshift.faults import cannot_connect, is_turned_away, translated
from skfleet_common.tables.redshift.roots import root_certificates

Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor

#: libpq's own names; what the address itself says wins. A workgroup that slept takes a while to wake.
_LINK = {
    "application_name": "skfleet",
    "client_encoding": "UTF8",
    "connect_timeout": "30",
    "gssencmode": "disable",
    "keepalives": "1",
    "keepalives_count": "3",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "sslmode": "verify-full",
    "tcp_user_timeout": "60000",
}

#: Keys and ids travel as text between sessions and hosts: what prints them must be the same everywhere.
#: Quoted names are as they are written, not folded ("enable_case_sensitive_identifier").
_SESSION = (
    "SET datestyle TO 'ISO, YMD'",
    "SET timezone TO 'UTC'",
    "SET extra_float_digits TO 2",
    "SET enable_case_sensitive_identifier TO true",
)

#: sslmode values that ask for a certificate to be checked.
_VERIFYING = frozenset({"verify-ca", "verify-full"})


@dataclass(frozen=True)
class Server:
    """Where Redshift is, who logs in there, and how long a statement may run."""

    where: RedshiftAddress
    statement_seconds: int
    logins: Logins | None = None

    @classmethod
    def at(cls, url: str, *, statement_seconds: int, logins: Logins | None = None) -> Self:
        """Read an address (see :mod:`.addresses`).

        Raises:
            UsageError: it cannot be read, or needs logins and there are none.
        """
        where = RedshiftAddress.read(url)
        if where.login is not None and logins is None:
            raise UsageError(f"Nobody here can get a login with {where.login}; write redshift:// instead.")
        return cls(where=where, statement_seconds=statement_seconds, logins=logins)

    @property
    def address(self) -> str:
        """Host, port and database: what messages to people may show."""
        return self.where.shown

    @contextmanager
    def transaction(self, doing: str, *, read_only: bool = True) -> Iterator[Cursor]:
        """Open a connection for one transaction: committed at the end of the block, else rolled back.

        ``doing`` completes "… while" in messages. All statements that read see one snapshot, that of the
        first of them.

        Raises:
            SkfleetError: what the driver's error means; see :mod:`.faults`.
        """
        connection = self.connect()
        try:
            with translated(doing, self.address):
                # No level: Redshift has but its own, snapshot or serializable ("BEGIN").
                connection.set_session(readonly=read_only)
                with connection.cursor() as cursor:
                    for setting in self.session_settings():
                        cursor.execute(setting)
                    yield cursor
                connection.commit()
        finally:
            connection.close()

    def session_settings(self) -> tuple[str, ...]:
        """Give the statements that pin a new session."""
        return (*_SESSION, f"SET statement_timeout TO {self.statement_seconds * 1000}")

    def connect(self) -> Connection:
        """Open a connection; a login that is turned away is asked for anew, once: it may have ended.

        Raises:
            SkfleetError: why none came about.
        """
        try:
            return psycopg2.connect(self._conninfo(fresh=False))
        except psycopg2.OperationalError as exc:
            if self.where.login is None or not is_turned_away(exc):
                raise self._why(exc) from exc
        try:
            return psycopg2.connect(self._conninfo(fresh=True))
        except psycopg2.OperationalError as exc:
            raise self._why(exc) from exc

    def _conninfo(self, *, fresh: bool) -> str:
        """Give libpq's parameters of a connection.

        Raises:
            UsageError: neither the address nor the login says where to.
        """
        asked = self.where.login
        login = self.logins.login(asked, fresh=fresh) if asked and self.logins else None
        host, port, database = self.where.host, self.where.port, self.where.database
        given = _LINK | self.where.options
        if login is not None:
            given |= {"user": login.user, "password": login.password}
            host, port = host or login.host, port or login.port
            database = database or login.database
        if host is None or database is None:
            raise UsageError(
                f"Neither SKFLEET_WAREHOUSE_URL nor {asked} says which host and database; write "
                "redshift+secret://host:port/database?secret=NAME."
            )
        if given["sslmode"] in _VERIFYING and "sslrootcert" not in given:
            given["sslrootcert"] = root_certificates()
        given |= {"host": host, "port": str(port or PORT), "dbname": database}
        return psycopg2.extensions.make_dsn(**given)

    def _why(self, exc: Exception) -> SkfleetError:
        asked, state = self.where.login, None
        if asked is not None and self.logins is not None and not is_turned_away(exc):
            state = self.logins.state(asked)
        return cannot_connect(exc, self.address, login=asked, state=state)
