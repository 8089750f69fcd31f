"""What the drivers' errors mean to the people and programs above (see :mod:`~.sql.faults`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import adbc_driver_manager
import psycopg2
from psycopg2 import errors

from skfleet_common.contracts.errors import EnvironmentFault, SkfleetError, TryAgain
from skfleet_common.tables.sql import faults

#: libpq gives no SQLSTATE for a refused connection, only the server's words.
_SOON = re.compile(
    r"starting up|shutting down|in recovery|too many clients|remaining connection slots", re.IGNORECASE
)
_TURNED_AWAY = re.compile(
    r"authentication|no password|pg_hba|role .* does not exist|permission denied", re.IGNORECASE
)
_NO_DATABASE = re.compile(r"database .* does not exist", re.IGNORECASE)


def cannot_connect(exc: Exception, address: str) -> SkfleetError:
    """Say why no connection came about."""
    words = str(exc)
    if _SOON.search(words):
        return TryAgain(f"PostgreSQL at {address} takes no connections at the moment; try again shortly.")
    if _NO_DATABASE.search(words):
        return EnvironmentFault(f"There is no database at {address}; correct SKFLEET_WAREHOUSE_URL.")
    if _TURNED_AWAY.search(words):
        return EnvironmentFault(
            f"PostgreSQL at {address} turns user or password away; correct them in SKFLEET_WAREHOUSE_URL."
        )
    return EnvironmentFault(
        f"PostgreSQL at {address} cannot be reached; start it or correct SKFLEET_WAREHOUSE_URL."
    )


@contextmanager
def translated(doing: str, address: str) -> Iterator[None]:
    """Raise the errors of both drivers as ours; ``doing`` completes "… while"."""
    try:
        yield
    except psycopg2.Error as exc:
        if exc.pgcode is None and isinstance(exc, psycopg2.ProgrammingError):
            raise  # our own mistake, never sent to the server
        raise meaning(exc.pgcode, doing, address) from exc
    except adbc_driver_manager.Error as exc:
        if exc.sqlstate is None and exc.status_code != adbc_driver_manager.AdbcStatusCode.IO:
            raise
        raise meaning(exc.sqlstate, doing, address) from exc


@contextmanager
def promotion_awaited(
    doing: str, address: str, sign: type[psycopg2.Error] = errors.ReadOnlySqlTransaction
) -> Iterator[None]:
    """Take ``sign``, in a transaction that writes, for a standby's: after a failover it is soon promoted."""
    try:
        yield
    except sign as exc:
        raise TryAgain(
            f"PostgreSQL at {address} is a standby, which takes no writes, while {doing}; try again when "
            "it is promoted, or correct SKFLEET_WAREHOUSE_URL."
        ) from exc


def meaning(sqlstate: str | None, doing: str, address: str) -> SkfleetError:
    """Give the error that a SQLSTATE stands for; None is a connection that broke."""
    return faults.meaning(sqlstate, doing, address, warehouse="PostgreSQL")
