"""What Redshift's errors mean to the people and programs above.

The leader's errors have SQLSTATEs; those of the compute nodes come as internal errors, told apart by their
first words alone. Of these words nothing is repeated, for they may quote values of rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
from psycopg2 import errorcodes

from skfleet_common.contracts.errors import (
    EnvironmentFault,
    Refused,
    SkfleetError,
    TryAgain,
    UnreadableValue,
)
from skfleet_common.contracts.logins import LoginAsked
from skfleet_common.tables.sql import faults

_WAREHOUSE = "Redshift"

#: What the compute nodes cannot compute, by their first words (load and query errors of STL_ERROR).
_UNREADABLE = re.compile(
    r"(?P<what>invalid digit|numeric data overflow|overflow|divide by zero|division by zero|"
    r"value out of range|invalid input syntax|invalid timestamp|invalid date|"
    r"error converting|string contains invalid)",
    re.IGNORECASE,
)
_GONE = re.compile(r"dropped by concurrent|could not open relation|could not find relation", re.IGNORECASE)
#: "Troubleshooting serializable isolation errors": the message is the number, the detail has the words.
_CONCURRENT = re.compile(r"^\s*1023\b|serializable isolation violation|concurrent transaction", re.IGNORECASE)
_TOO_LARGE = re.compile(r"exceed.*cursor|cursor.*exceed", re.IGNORECASE)

_TURNED_AWAY = re.compile(
    r"authentication|no password|pg_hba|(role|user) .* does not exist|permission denied|(?<!timeout )expired",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"[^"]*"')
#: What AWS calls the states of a cluster that will take connections again by itself.
_SOON_STATES = frozenset({"creating", "modifying", "rebooting", "resizing", "resuming", "updating"})


@dataclass(frozen=True)
class _Hindrance:
    """Why no connection came about, by the server's words or libpq's: for neither there is a SQLSTATE."""

    words: re.Pattern[str]
    error: type[SkfleetError]
    #: Takes ``address``.
    sentence: str


_PAUSED = _Hindrance(
    re.compile(r"\bpaused?\b", re.IGNORECASE),
    EnvironmentFault,
    "Redshift at {address} is paused; resume it and try again.",
)
_SOON = _Hindrance(
    re.compile(
        r"starting up|shutting down|restarting|resum|resiz|connection limit|too many c", re.IGNORECASE
    ),
    TryAgain,
    "Redshift at {address} takes no connections at the moment; try again shortly.",
)
#: The first that fits counts.
_HINDRANCES = (
    _PAUSED,
    _SOON,
    _Hindrance(
        re.compile(r"invalid (\w+ )?value|definition of service|service file", re.IGNORECASE),
        EnvironmentFault,
        "A parameter of SKFLEET_WAREHOUSE_URL is none that libpq takes for Redshift at {address}; correct "
        "what stands there after the question mark.",
    ),
    _Hindrance(
        re.compile(r"database .* does not exist", re.IGNORECASE),
        EnvironmentFault,
        "There is no database at {address}; correct SKFLEET_WAREHOUSE_URL.",
    ),
    _Hindrance(
        re.compile(r"(?<!timeout )expired", re.IGNORECASE),
        EnvironmentFault,
        "Redshift at {address} says that the password has expired; set a new one in SKFLEET_WAREHOUSE_URL.",
    ),
    _Hindrance(
        _TURNED_AWAY,
        EnvironmentFault,
        "Redshift at {address} turns user or password away; correct them in SKFLEET_WAREHOUSE_URL.",
    ),
    _Hindrance(
        re.compile(r"does not support SSL", re.IGNORECASE),
        EnvironmentFault,
        "Redshift at {address} offers no TLS; correct SKFLEET_WAREHOUSE_URL, or add ?sslmode=disable to it "
        "for a server on a network that you trust.",
    ),
    _Hindrance(
        re.compile(r"certificate|SSL error|does not match host name", re.IGNORECASE),
        EnvironmentFault,
        "The certificate of Redshift at {address} cannot be verified for that host name, so nothing was "
        "sent; correct the host, or name its root certificates with ?sslrootcert=FILE.",
    ),
    _Hindrance(
        re.compile(r"translate host name", re.IGNORECASE),
        EnvironmentFault,
        "There is no host of that name for Redshift at {address}; correct SKFLEET_WAREHOUSE_URL or the DNS.",
    ),
)
_UNREACHABLE = (
    "Redshift at {address} cannot be reached; resume it if it is paused, open its security group to this "
    "host, or correct SKFLEET_WAREHOUSE_URL."
)


def is_turned_away(exc: Exception) -> bool:
    """Whether the user or the password was not accepted: a newer login may be."""
    return bool(_TURNED_AWAY.search(_unquoted(exc)))


def cannot_connect(
    exc: Exception, address: str, *, login: LoginAsked | None = None, state: str | None = None
) -> SkfleetError:
    """Say why no connection came about; ``state`` is what AWS calls that of the cluster."""
    if state == "paused" or state in _SOON_STATES:
        known = _PAUSED if state == "paused" else _SOON
        return known.error(known.sentence.format(address=address))
    if login is not None and is_turned_away(exc):
        return EnvironmentFault(
            f"Redshift at {address} turns away what AWS gave as {login}; let that user into the database, or "
            "correct SKFLEET_WAREHOUSE_URL."
        )
    for known in _HINDRANCES:
        if known.words.search(_unquoted(exc)):
            return known.error(known.sentence.format(address=address))
    return EnvironmentFault(_UNREACHABLE.format(address=address))


def _unquoted(exc: Exception) -> str:
    """Give the words without the names in them: a host may be called anything."""
    return _QUOTED.sub('""', str(exc))


@contextmanager
def translated(doing: str, address: str) -> Iterator[None]:
    """Raise the driver's errors as ours; ``doing`` completes "… while"."""
    try:
        yield
    except psycopg2.Error as exc:
        if exc.pgcode is None and isinstance(exc, psycopg2.ProgrammingError):
            raise  # our own mistake, never sent to the server
        raise meaning(exc.pgcode, _first_words(exc), doing, address) from exc


def meaning(sqlstate: str | None, words: str, doing: str, address: str) -> SkfleetError:
    """Give the error that a SQLSTATE stands for, or the first words; no SQLSTATE is a broken connection."""
    if sqlstate not in {errorcodes.INTERNAL_ERROR, errorcodes.SYSTEM_ERROR}:
        return faults.meaning(sqlstate, doing, address, warehouse=_WAREHOUSE)
    if _GONE.search(words):
        return faults.meaning(errorcodes.UNDEFINED_TABLE, doing, address, warehouse=_WAREHOUSE)
    if _CONCURRENT.search(words):
        return faults.meaning(errorcodes.SERIALIZATION_FAILURE, doing, address, warehouse=_WAREHOUSE)
    if _TOO_LARGE.search(words):
        return Refused(
            f"{_WAREHOUSE} at {address} cannot keep a result of that size while {doing}; take smaller chunks "
            "with --chunk-rows, or --read unload."
        )
    found = _UNREADABLE.search(words)
    if found is not None:
        what = found["what"].lower()
        error = UnreadableValue(
            f"A value was not what it should be while {doing} ({what}); mend the rows or the request."
        )
        error.condition = what
        return error
    return faults.meaning(sqlstate, doing, address, warehouse=_WAREHOUSE)


def _first_words(exc: psycopg2.Error) -> str:
    return str(exc.diag.message_primary or "")
