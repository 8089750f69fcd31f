"""What SQLSTATEs mean to the people and programs above, in every warehouse that has them.

A database's message, and above all its DETAIL and CONTEXT, may quote values of rows. So sentences are
made from the SQLSTATE; the database's own words are left to the exception's cause.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import errorcodes

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
    #: Takes ``warehouse``, ``address``, ``doing`` (completes "while") and ``condition``.
    sentence: str


#: The first that fits counts (SQLSTATEs: PostgreSQL manual, appendix A).
_MEANINGS = (
    _Meaning(
        frozenset({"08"}),
        TryAgain,
        "The connection to {warehouse} at {address} broke while {doing}; try again.",
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
        "{warehouse} at {address} could not go on while {doing} ({condition}); try again.",
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
        "{warehouse} stopped a statement while {doing}, because it was cancelled or took too long; "
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
        "{warehouse} at {address} does not allow that while {doing} ({condition}); use another table.",
    ),
    _Meaning(
        frozenset({"28"}),
        EnvironmentFault,
        "{warehouse} at {address} turns the user away while {doing}; correct SKFLEET_WAREHOUSE_URL.",
    ),
)

_UNKNOWN = "{warehouse} at {address} failed while {doing} ({condition}); its log says more."


def meaning(sqlstate: str | None, doing: str, address: str, *, warehouse: str) -> SkfleetError:
    """Give the error that a SQLSTATE stands for; None is a connection that broke."""
    sqlstate = sqlstate or "08000"
    for known in _MEANINGS:
        if sqlstate in known.sqlstates or sqlstate[:2] in known.sqlstates:
            break
    else:
        known = _Meaning(frozenset(), EnvironmentFault, _UNKNOWN)
    words = condition(sqlstate)
    error = known.error(
        known.sentence.format(warehouse=warehouse, address=address, doing=doing, condition=words)
    )
    if isinstance(error, UnreadableValue):
        error.condition = words
    return error


def condition(sqlstate: str) -> str:
    """Give the name of a SQLSTATE in words: ``undefined table``."""
    try:
        return errorcodes.lookup(sqlstate).lower().replace("_", " ")
    except KeyError:
        return f"SQLSTATE {sqlstate}"
