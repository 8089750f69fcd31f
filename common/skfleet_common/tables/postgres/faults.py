"""What the drivers' errors mean to the people and programs above.

A database's message, and above all its DETAIL and CONTEXT, may quote values of rows. So sentences are
made from the SQLSTATE; the database's own words are left to the exception's cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import adbc_driver_manager
import psycopg2
from psycopg2 import errorcodes, errors

from skfleet_common.contracts.errors import (
    EnvironmentFault,
    Refused,
    SkfleetError,
    SourceChanged,
    TryAgain,
    UnreadableValue,
)


@dataclass(frozen=True)
class _Meaning:
    """What SQLSTATEs of a class (two characters) or a single one (five) stand for."""

    sqlstates: frozenset[str]
    error: type[SkfleetError]
    #: Takes ``address``, ``doing`` (completes "while") and ``condition``.
    sentence: str


#: The first that fits counts (SQLSTATEs: PostgreSQL manual, appendix A).
_MEANINGS = (
    _Meaning(
        frozenset({"08"}),
        TryAgain,
        "The connection to PostgreSQL at {address} broke while {doing}; try again.",
    ),
    _Meaning(
        frozenset(
            {
                errorcodes.SERIALIZATION_FAILURE,
                errorcodes.DEADLOCK_DETECTED,
                errorcodes.LOCK_NOT_AVAILABLE,
                errorcodes.OBJECT_IN_USE,
                errorcodes.ADMIN_SHUTDOWN,
                errorcodes.CRASH_SHUTDOWN,
                errorcodes.CANNOT_CONNECT_NOW,
                errorcodes.TOO_MANY_CONNECTIONS,
                errorcodes.OUT_OF_MEMORY,
                errorcodes.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            }
        ),
        TryAgain,
        "PostgreSQL at {address} could not go on while {doing} ({condition}); try again.",
    ),
    _Meaning(
        frozenset(
            {
                errorcodes.UNDEFINED_TABLE,
                errorcodes.UNDEFINED_COLUMN,
                errorcodes.UNDEFINED_FUNCTION,
                errorcodes.UNDEFINED_OBJECT,
                errorcodes.INVALID_SCHEMA_NAME,
                errorcodes.DATATYPE_MISMATCH,
                errorcodes.CANNOT_COERCE,
            }
        ),
        SourceChanged,
        "A table, column or type changed while {doing} ({condition}); submit the request again.",
    ),
    _Meaning(
        frozenset({errorcodes.QUERY_CANCELED}),
        EnvironmentFault,
        "PostgreSQL stopped a statement while {doing}, because it was cancelled or took too long; "
        "raise SKFLEET_STATEMENT_SECONDS or ask for less at a time.",
    ),
    _Meaning(
        frozenset({errorcodes.INSUFFICIENT_PRIVILEGE}),
        Refused,
        "The warehouse role has no right to go on while {doing}; grant it to the role.",
    ),
    _Meaning(
        frozenset({"22"}),
        UnreadableValue,
        "A value was not what it should be while {doing} ({condition}); mend the rows or the request.",
    ),
    _Meaning(
        frozenset({"23"}),
        Refused,
        "The rows break a constraint of the table while {doing} ({condition}); mend one or the other.",
    ),
    _Meaning(
        frozenset({errorcodes.READ_ONLY_SQL_TRANSACTION, errorcodes.FEATURE_NOT_SUPPORTED}),
        Refused,
        "PostgreSQL at {address} does not allow that while {doing} ({condition}); use another table.",
    ),
    _Meaning(
        frozenset({"28"}),
        EnvironmentFault,
        "PostgreSQL at {address} turns the user away while {doing}; correct SKFLEET_WAREHOUSE_URL.",
    ),
)

_UNKNOWN = "PostgreSQL at {address} failed while {doing} ({condition}); its log says more."

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
    sqlstate = sqlstate or "08000"
    for known in _MEANINGS:
        if sqlstate in known.sqlstates or sqlstate[:2] in known.sqlstates:
            break
    else:
        known = _Meaning(frozenset(), EnvironmentFault, _UNKNOWN)
    words = condition(sqlstate)
    error = known.error(known.sentence.format(address=address, doing=doing, condition=words))
    if isinstance(error, UnreadableValue):
        error.condition = words
    return error


def condition(sqlstate: str) -> str:
    """Give the name of a SQLSTATE in words: ``undefined table``."""
    try:
        return errorcodes.lookup(sqlstate).lower().replace("_", " ")
    except KeyError:
        return f"SQLSTATE {sqlstate}"
