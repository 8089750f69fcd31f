"""What PostgreSQL's errors mean to who meets them."""

from __future__ import annotations

import psycopg2
import pytest
from psycopg2 import errorcodes

from skfleet_common.contracts.errors import (
    EnvironmentFault,
    Refused,
    SkfleetError,
    SourceChanged,
    TryAgain,
    UnreadableValue,
)
from skfleet_common.tables.postgres.faults import cannot_connect, meaning, translated

ADDRESS = "db.example:5432/sales"


@pytest.mark.parametrize(
    ("sqlstate", "error"),
    [
        (None, TryAgain),
        (errorcodes.CONNECTION_FAILURE, TryAgain),
        (errorcodes.SERIALIZATION_FAILURE, TryAgain),
        (errorcodes.DEADLOCK_DETECTED, TryAgain),
        (errorcodes.LOCK_NOT_AVAILABLE, TryAgain),
        (errorcodes.ADMIN_SHUTDOWN, TryAgain),
        (errorcodes.CANNOT_CONNECT_NOW, TryAgain),
        (errorcodes.TOO_MANY_CONNECTIONS, TryAgain),
        (errorcodes.UNDEFINED_TABLE, SourceChanged),
        (errorcodes.UNDEFINED_COLUMN, SourceChanged),
        (errorcodes.DATATYPE_MISMATCH, SourceChanged),
        (errorcodes.QUERY_CANCELED, EnvironmentFault),
        (errorcodes.DISK_FULL, EnvironmentFault),
        (errorcodes.INVALID_PASSWORD, EnvironmentFault),
        (errorcodes.INSUFFICIENT_PRIVILEGE, Refused),
        (errorcodes.READ_ONLY_SQL_TRANSACTION, Refused),
        (errorcodes.NUMERIC_VALUE_OUT_OF_RANGE, UnreadableValue),
        (errorcodes.UNIQUE_VIOLATION, Refused),
        ("ZZ999", EnvironmentFault),
    ],
)
def test_a_sqlstate_means_one_error_and_one_sentence(sqlstate: str | None, error: type[SkfleetError]) -> None:
    meant = meaning(sqlstate, "reading public.flights", ADDRESS)
    assert type(meant) is error
    assert "while reading public.flights" in str(meant)
    assert str(meant).endswith(".")
    assert "\n" not in str(meant)


@pytest.mark.parametrize(
    ("words", "error", "reason"),
    [
        ("Connection refused\n\tIs the server running?", EnvironmentFault, "cannot be reached"),
        ("could not translate host name", EnvironmentFault, "cannot be reached"),
        (
            'FATAL:  password authentication failed for user "me"',
            EnvironmentFault,
            "turns user or password away",
        ),
        ("fe_sendauth: no password supplied", EnvironmentFault, "turns user or password away"),
        ('FATAL:  database "sales" does not exist', EnvironmentFault, "no database"),
        ("FATAL:  the database system is starting up", TryAgain, "no connections at the moment"),
        ("FATAL:  the database system is shutting down", TryAgain, "no connections at the moment"),
        ("FATAL:  sorry, too many clients already", TryAgain, "no connections at the moment"),
    ],
)
def test_a_connection_that_does_not_come_about_is_told_apart(
    words: str, error: type[SkfleetError], reason: str
) -> None:
    meant = cannot_connect(psycopg2.OperationalError(words), ADDRESS)
    assert type(meant) is error
    assert reason in str(meant)
    assert ADDRESS in str(meant)


def test_our_own_mistakes_are_not_blamed_on_the_connection() -> None:
    with pytest.raises(psycopg2.ProgrammingError, match="adapt"), translated("reading", ADDRESS):
        raise psycopg2.ProgrammingError("can't adapt type 'object'")
