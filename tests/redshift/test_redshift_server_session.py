"""Sessions of the test server: who gets in, what is reported, transactions and cursors."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest

from tests.redshift.place import RedshiftPlace


def test_the_server_reports_itself_as_a_redshift(redshift: RedshiftPlace) -> None:
    with closing(redshift.connect()) as connection:
        assert connection.server_version == 80002
        assert connection.info.parameter_status("standard_conforming_strings") is None
    assert "Redshift 1.0." in redshift.sql("SELECT version()")[0][0]
    assert redshift.sql("SHOW server_version") == [("8.0.2",)]


def test_rows_of_a_transaction_that_is_rolled_back_are_gone(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int)")
    with closing(redshift.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchall() == [(1,)]
        connection.rollback()
    assert redshift.sql("SELECT count(*) FROM t") == [(0,)]


def test_an_error_aborts_its_transaction(redshift: RedshiftPlace) -> None:
    with closing(redshift.connect()) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.UndefinedTable, match='relation "nowhere" does not exist'):
            cursor.execute("SELECT * FROM nowhere")
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
            cursor.execute("SELECT 1")
        connection.rollback()
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]


def test_a_refusal_aborts_its_transaction_too(redshift: RedshiftPlace) -> None:
    with closing(redshift.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        with pytest.raises(psycopg2.Error, match="not supported on Redshift tables"):
            cursor.execute("CREATE INDEX i ON t (id)")
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
            cursor.execute("SELECT 1")


def test_a_named_cursor_gives_all_rows(redshift: RedshiftPlace) -> None:
    redshift.seed("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id; GRANT SELECT ON t TO fleet_owner")
    with closing(redshift.connect()) as connection, connection.cursor("rows") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT id FROM t ORDER BY id")
        assert [row[0] for row in cursor] == list(range(1, 1001))


def test_a_session_has_one_cursor_at_a_time(redshift: RedshiftPlace) -> None:
    with closing(redshift.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("DECLARE one CURSOR FOR SELECT 1")
        with pytest.raises(psycopg2.Error, match="only one cursor"):
            cursor.execute("DECLARE two CURSOR FOR SELECT 2")
        connection.rollback()
        cursor.execute("DECLARE two CURSOR FOR SELECT 2")
        cursor.execute("FETCH FORWARD 5 FROM two")
        assert cursor.fetchall() == [(2,)]
