"""What goes wrong on the test server because a test wants it to, and who is let in."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.redshift.certificate import make_certificate
from tests.redshift.place import RedshiftPlace
from tests.redshift.refusal import Refusal


def test_a_wrong_password_and_an_unknown_user_are_turned_away(redshift: RedshiftPlace) -> None:
    for user, password in [("fleet_owner", "wrong"), ("nobody", "x")]:
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed for user"):
            psycopg2.connect(redshift.server.url(user=user, password=password))


def test_a_temporary_user_is_let_in_until_its_token_expires(redshift: RedshiftPlace) -> None:
    url = redshift.server.url(user="IAM:somebody", password="a/temporary+one==")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        redshift.server.expire("IAM:somebody")
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    with pytest.raises(psycopg2.OperationalError, match="IAM Authentication token has expired"):
        psycopg2.connect(url)


def test_tls_is_verified_against_the_servers_certificate(
    redshift: RedshiftPlace, redshift_certificate: Path, tmp_path: Path
) -> None:
    redshift.server.needs_tls = True
    with closing(
        redshift.connect(sslmode="verify-full", sslrootcert=str(redshift_certificate))
    ) as connection:
        assert connection.info.ssl_in_use
    other = make_certificate(tmp_path).path
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        redshift.connect(sslmode="verify-full", sslrootcert=str(other))
    with pytest.raises(psycopg2.OperationalError, match="SSL off"):
        redshift.connect(sslmode="disable")


def test_a_certificate_of_another_host_is_not_taken(
    redshift: RedshiftPlace, redshift_certificate: Path
) -> None:
    url = redshift.server.url(host="localhost")
    with pytest.raises(psycopg2.OperationalError, match='does not match host name "localhost"'):
        psycopg2.connect(url, sslmode="verify-full", sslrootcert=str(redshift_certificate))


def test_a_statement_fails_as_often_as_asked(redshift: RedshiftPlace) -> None:
    redshift.server.fail("select 42", Refusal("Query aborted by WLM", sqlstate="57014"))
    with pytest.raises(psycopg2.errors.QueryCanceled, match="aborted by WLM"):
        redshift.sql("SELECT 42")
    assert redshift.sql("SELECT 42") == [(42,)]


def test_credentials_of_the_role_expire(redshift: RedshiftPlace) -> None:
    redshift.server.expire_role_session()
    with pytest.raises(psycopg2.Error, match="Error ExpiredToken"):
        redshift.sql(f"UNLOAD ('SELECT 1 AS a') TO 's3://{redshift.bucket}/a' IAM_ROLE default PARQUET")


def test_a_killed_session_ends_before_its_statement_or_after(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int)")
    for after in (False, True):
        redshift.server.kill("insert into t", after=after)
        with pytest.raises(psycopg2.OperationalError):
            redshift.sql("INSERT INTO t VALUES (1)")
        assert redshift.sql("SELECT count(*) FROM t") == [(int(after),)]


def test_a_slow_statement_runs_into_the_sessions_timeout(redshift: RedshiftPlace) -> None:
    redshift.server.slow("select 42", 30)
    with closing(redshift.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout TO 200")
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute("SELECT 42")


def test_a_cancelled_statement_ends_at_once(redshift: RedshiftPlace) -> None:
    redshift.server.slow("select 42", 30)
    with closing(redshift.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        start = time.monotonic()
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute("SELECT 42")
        assert time.monotonic() - start < 10
        timer.join()


def test_concurrent_writes_to_a_row_are_a_serializable_isolation_violation(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1)")
    with closing(redshift.connect()) as one, one.cursor() as cursor:
        cursor.execute("SELECT * FROM t")
        redshift.sql("UPDATE t SET n = 2")
        with pytest.raises(psycopg2.errors.InternalError_, match="1023"):
            cursor.execute("UPDATE t SET n = 3")


def test_statements_of_clients_are_noted(redshift: RedshiftPlace) -> None:
    redshift.sql("SELECT 42")
    assert redshift.server.statements[-1] == "SELECT 42"
