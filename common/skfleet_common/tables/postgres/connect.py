"""Connections: bounded in time, in one pinned output format, with the driver's errors translated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Self

import psycopg2
import psycopg2.extensions
from psycopg2 import errors, sql

from skfleet_common.contracts.errors import UsageError
from skfleet_common.tables.postgres.faults import cannot_connect, promotion_awaited, translated
from skfleet_common.tables.sql.addresses import has_stray_at

Cursor = psycopg2.extensions.cursor

#: libpq's own names; what the address itself says wins. A dead host is noticed within a minute, not in hours.
_LINK = {
    "application_name": "skfleet",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_count": "3",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "tcp_user_timeout": "60000",
}

#: Keys and ids travel as text between sessions and hosts: what prints them must be the same everywhere.
_OUTPUT_FORMAT = {
    "bytea_output": "hex",
    "datestyle": "ISO, YMD",
    "extra_float_digits": "1",
    "intervalstyle": "postgres",
    "standard_conforming_strings": "on",
    "timezone": "UTC",
    # Compiling the planner's CASE of thousands of arms costs more than it saves.
    "jit": "off",
}

#: Redshift says that it is PostgreSQL 8.0.2; nothing older than this speaks what is sent here.
_BEYOND_REDSHIFT = 90_000

#: How long a statement waits for a lock before it gives way and is tried again.
LOCK_SECONDS = 10


@dataclass(frozen=True)
class Server:
    """Where a database is and how long a statement may run there."""

    conninfo: str
    #: Host, port and database: what messages to people may show.
    address: str
    statement_seconds: int

    @classmethod
    def at(cls, url: str, *, statement_seconds: int) -> Self:
        """Read a ``postgresql://`` address.

        Raises:
            UsageError: libpq cannot read it, or would take a part of the password for another. The reason is
                left out, for it may quote the password.
        """
        if has_stray_at(url):
            raise _unreadable()
        try:
            given = psycopg2.extensions.parse_dsn(url)
            conninfo = psycopg2.extensions.make_dsn(**(_LINK | given))
        except psycopg2.Error:
            raise _unreadable() from None
        host, port = given.get("host", "localhost"), given.get("port", "5432")
        address = f"{host}:{port}/{given.get('dbname', given.get('user', ''))}"
        return cls(conninfo=conninfo, address=address, statement_seconds=statement_seconds)

    def session_settings(self) -> sql.Composed:
        """Give the one query that pins a new session; both drivers run it first."""
        settings = _OUTPUT_FORMAT | {
            "statement_timeout": str(self.statement_seconds * 1000),
            "lock_timeout": str(LOCK_SECONDS * 1000),
        }
        calls = [
            sql.SQL("set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
            for name, value in settings.items()
        ]
        return sql.SQL("SELECT {}").format(sql.SQL(", ").join(calls))

    @contextmanager
    def transaction(
        self, doing: str, *, read_only: bool = True, repeatable: bool = False
    ) -> Iterator[Cursor]:
        """Open a connection for one transaction: committed at the end of the block, else rolled back.

        ``doing`` completes "… while" in messages. ``repeatable`` lets all statements see one snapshot.

        Raises:
            SkfleetError: what the driver's error means; see :mod:`.faults`.
        """
        connection = self._connect()
        try:
            with translated(doing, self.address):
                connection.set_session(
                    isolation_level="REPEATABLE READ" if repeatable else "READ COMMITTED", readonly=read_only
                )
                writing = nullcontext() if read_only else promotion_awaited(doing, self.address)
                with connection.cursor() as cursor, writing:
                    # The transaction begins here, and a standby begins none that may write.
                    with promotion_awaited(doing, self.address, errors.FeatureNotSupported):
                        cursor.execute(self.session_settings())
                    yield cursor
                connection.commit()
        finally:
            connection.close()

    def rendered(self, *queries: sql.Composed) -> list[str]:
        """Give queries as text for the other driver; quoting asks a connection, which is closed again."""
        connection = self._connect()
        try:
            return [query.as_string(connection) for query in queries]
        finally:
            connection.close()

    def _connect(self) -> psycopg2.extensions.connection:
        try:
            connection = psycopg2.connect(self.conninfo)
        except psycopg2.OperationalError as exc:
            raise cannot_connect(exc, self.address) from exc
        if connection.server_version < _BEYOND_REDSHIFT:
            connection.close()
            raise UsageError(
                f"{self.address} is a Redshift, not a PostgreSQL; write redshift:// in SKFLEET_WAREHOUSE_URL."
            )
        return connection


def _unreadable() -> UsageError:
    return UsageError(
        "SKFLEET_WAREHOUSE_URL cannot be read; write postgresql://user:password@host:port/database, "
        "with special characters percent-encoded."
    )
