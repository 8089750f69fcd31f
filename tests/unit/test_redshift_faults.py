"""What Redshift's errors mean to who meets them, and that none of them is quoted."""

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
from skfleet_common.contracts.logins import ClusterLogin
from skfleet_common.tables.redshift.faults import cannot_connect, meaning

ADDRESS = "db.example:5439/sales"


@pytest.mark.parametrize(
    ("sqlstate", "words", "error"),
    [
        (None, "", TryAgain),
        (errorcodes.QUERY_CANCELED, "", EnvironmentFault),
        (errorcodes.INSUFFICIENT_PRIVILEGE, "", Refused),
        (errorcodes.UNDEFINED_TABLE, "", SourceChanged),
        (errorcodes.INTERNAL_ERROR, "Table 1234 dropped by concurrent transaction", SourceChanged),
        (errorcodes.INTERNAL_ERROR, "could not open relation with OID 1234", SourceChanged),
        (errorcodes.INTERNAL_ERROR, "1023 Serializable isolation violation on table - 7", TryAgain),
        (errorcodes.INTERNAL_ERROR, "exceeded the maximum size of cursors", Refused),
        (errorcodes.INTERNAL_ERROR, "Invalid digit, Value 'hidden', Pos 0, Type: Long", UnreadableValue),
        (errorcodes.INTERNAL_ERROR, "Numeric data overflow (addition)", UnreadableValue),
        (errorcodes.INTERNAL_ERROR, "Divide by zero", UnreadableValue),
        (errorcodes.INTERNAL_ERROR, "assert hidden", EnvironmentFault),
    ],
)
def test_an_error_means_one_thing_and_one_sentence(
    sqlstate: str | None, words: str, error: type[SkfleetError]
) -> None:
    meant = meaning(sqlstate, words, "reading public.flights", ADDRESS)
    assert type(meant) is error
    assert "while reading public.flights" in str(meant)
    assert str(meant).endswith(".")
    assert "hidden" not in str(meant)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ("Connection refused\n\tIs the server running?", EnvironmentFault, "resume it if it is paused"),
        ("timeout expired", EnvironmentFault, "resume it if it is paused"),
        ('could not translate host name "x" to address', EnvironmentFault, "no host of that name"),
        ('FATAL:  password authentication failed for user "me"', EnvironmentFault, "user or password"),
        ("fe_sendauth: no password supplied", EnvironmentFault, "user or password"),
        ("FATAL:  IAM Authentication token has expired", EnvironmentFault, "has expired"),
        ('FATAL:  database "sales" does not exist', EnvironmentFault, "no database"),
        ('FATAL:  connection limit "500" exceeded for non-bootstrap users', TryAgain, "at the moment"),
        ("FATAL:  cluster is restarting", TryAgain, "at the moment"),
        ("FATAL:  cluster is paused", EnvironmentFault, "is paused; resume it"),
        ("server does not support SSL, but SSL was required", EnvironmentFault, "offers no TLS"),
        ("SSL error: certificate verify failed", EnvironmentFault, "cannot be verified"),
        (
            'connection to server at "paused-expired-db", port 5439 failed: timeout expired',
            EnvironmentFault,
            "cannot be reached",
        ),
        ('server certificate for "a" does not match host name "b"', EnvironmentFault, "cannot be verified"),
    ],
)
def test_a_connection_that_does_not_come_about_is_told_apart(
    words: str, error: type[SkfleetError], said: str
) -> None:
    meant = cannot_connect(psycopg2.OperationalError(words), ADDRESS)
    assert type(meant) is error
    assert said in str(meant)
    assert ADDRESS in str(meant)


@pytest.mark.parametrize("asked", ["service=nope", "channel_binding=x", "gssencmode=x", "keepalives=x"])
def test_a_parameter_that_libpq_does_not_take_is_said_to_be_one(asked: str) -> None:
    with pytest.raises(psycopg2.OperationalError) as caught:
        psycopg2.connect(f"postgresql://ana:x@127.0.0.1:9/dev?{asked}")
    meant = cannot_connect(caught.value, ADDRESS)
    assert "correct what stands there after the question mark" in str(meant)


def test_the_state_that_aws_tells_says_more_than_a_connection_that_is_refused() -> None:
    exc = psycopg2.OperationalError("timeout expired")
    assert "is paused; resume it" in str(cannot_connect(exc, ADDRESS, state="paused"))
    assert isinstance(cannot_connect(exc, ADDRESS, state="rebooting"), TryAgain)
    assert "security group" in str(cannot_connect(exc, ADDRESS, state="available"))


def test_a_login_of_aws_that_is_turned_away_is_not_blamed_on_a_password() -> None:
    exc = psycopg2.OperationalError('FATAL:  password authentication failed for user "IAM:ana"')
    meant = cannot_connect(exc, ADDRESS, login=ClusterLogin("sales", "dev"))
    assert "turns away what AWS gave as the Redshift cluster sales" in str(meant)
