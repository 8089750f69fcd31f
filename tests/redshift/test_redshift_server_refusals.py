"""What the test server refuses of what PostgreSQL would take, and what it takes that PostgreSQL would not."""

from __future__ import annotations

import psycopg2
import pytest

from tests.redshift.place import RedshiftPlace


@pytest.mark.parametrize(
    ("statement", "sqlstate", "message"),
    [
        ("COPY t TO STDOUT", "42601", "syntax error"),
        ("COPY (SELECT 1) TO STDOUT", "42601", "syntax error"),
        ("COPY t FROM STDIN", "0A000", "LOAD source is not supported"),
        ("CREATE INDEX i ON t (id)", "0A000", "not supported on Redshift tables"),
        ("CREATE SEQUENCE s", "0A000", "not supported on Redshift tables"),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "42601", "syntax error"),
        ("INSERT INTO t VALUES (1) RETURNING id", "42601", "syntax error"),
        ("SELECT ARRAY[1, 2]", "0A000", "Specified types or functions"),
        ("SELECT * FROM t WHERE id = ANY ('{1,2}')", "0A000", "Specified types or functions"),
        ("SELECT array_agg(id) FROM t", "0A000", "Specified types or functions"),
        ("INSERT INTO t SELECT generate_series(1, 10)", "0A000", "Specified types or functions"),
        ("SELECT width_bucket(id, 0, 10, 5) FROM t", "42883", "function width_bucket() does not exist"),
        ("SELECT string_agg(x, ',') FROM t", "42883", "function string_agg() does not exist"),
        ("SELECT setseed(0.5)", "42883", "function setseed() does not exist"),
        ("SELECT pg_advisory_xact_lock(1)", "42883", "function pg_advisory_xact_lock() does not exist"),
        ("SELECT to_regclass('t')", "42883", "function to_regclass() does not exist"),
        ("SELECT pg_sleep(1)", "42883", "function pg_sleep() does not exist"),
        ("SELECT format('%s', 1)", "42883", "function format() does not exist"),
        ("CREATE TABLE u (id uuid)", "0A000", 'has unsupported type "uuid"'),
        ("CREATE TABLE u (id jsonb)", "0A000", 'has unsupported type "jsonb"'),
        ("CREATE TABLE u (id int[])", "0A000", 'has unsupported type "int[]"'),
        ("CREATE TABLE u (id bytea)", "0A000", 'has unsupported type "bytea"'),
        ("CREATE TABLE u (id serial)", "0A000", 'has unsupported type "serial"'),
        ("CREATE TABLE u (id numeric(39,0))", "22023", "must be between 1 and 38"),
        ("CREATE TABLE u (id int CHECK (id > 0))", "0A000", "CHECK constraints"),
        ("CREATE TABLE u (id int) TABLESPACE elsewhere", "42601", "syntax error"),
        ("CREATE TABLE u (id int) INHERITS (t)", "42601", "syntax error"),
        ("CREATE UNLOGGED TABLE u (id int)", "42601", "syntax error"),
        ("SELECT id::uuid FROM t", "42704", 'type "uuid" does not exist'),
        ("SELECT CAST(1 > 0 AS varchar)", "42846", "cannot cast type boolean to character varying"),
        ("SELECT (1 > 0)::varchar(5)", "42846", "cannot cast type boolean to character varying"),
        ("ROLLBACK TO SAVEPOINT a", "0A000", "not supported on Redshift tables"),
        ("SAVEPOINT a", "42601", "syntax error"),
        ("SELECT * FROM t FOR UPDATE", "0A000", "not supported"),
        ("SELECT * FROM t TABLESAMPLE SYSTEM (10)", "42601", "syntax error"),
        ("SELECT DISTINCT ON (id) id FROM t", "0A000", "not supported"),
        ("SELECT count(*) FILTER (WHERE id > 1) FROM t", "42601", "syntax error"),
        ("WITH a AS MATERIALIZED (SELECT 1) SELECT * FROM a", "42601", "syntax error"),
        ("WITH a AS (DELETE FROM t) SELECT 1", "42601", "syntax error"),
        ("SELECT * FROM t, LATERAL (SELECT 1) x", "42601", "syntax error"),
        ("SELECT * FROM (VALUES (1)) v", "42601", "syntax error"),
        ("SELECT 1 IS DISTINCT FROM 2", "42601", "syntax error"),
        ("SELECT id FROM t FETCH FIRST 1 ROWS ONLY", "42601", "syntax error"),
        ("SELECT $$x$$", "42601", "syntax error"),
        ("DO $$ BEGIN END $$", "42601", "syntax error"),
        ("LISTEN x", "42601", "syntax error"),
        ("NOTIFY x", "42601", "syntax error"),
        ("MERGE INTO t USING t s ON t.id = s.id WHEN MATCHED AND 1 = 1 THEN DELETE", "42601", "syntax error"),
        ("ALTER TABLE t ADD COLUMN a int, ADD COLUMN b int", "42601", "syntax error"),
        ("ALTER TABLE IF EXISTS t RENAME TO u", "42601", "syntax error"),
        ("ALTER TABLE t SET SCHEMA public", "42601", "syntax error"),
        ("ALTER TABLE t ALTER COLUMN id SET NOT NULL", "42601", "syntax error"),
        ("LOCK TABLE t IN SHARE MODE", "42601", "syntax error"),
        ("SET lock_timeout = 1000", "42704", 'unrecognized configuration parameter "lock_timeout"'),
        ("SELECT relpersistence FROM pg_class", "42703", "does not exist"),
        ("SELECT attidentity FROM pg_catalog.pg_attribute", "42703", "does not exist"),
        ("DECLARE c CURSOR FOR SELECT 1", "25P01", "transaction block"),
        ("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT 1", "0A000", "SCROLL"),
        ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1", "0A000", "HOLD"),
        ("BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH BACKWARD 1 FROM c", "55000", "scan forward"),
    ],
)  # fmt: skip
def test_it_is_refused(redshift: RedshiftPlace, statement: str, sqlstate: str, message: str) -> None:
    redshift.sql("CREATE TABLE t (id int, x varchar(10))")
    with pytest.raises(psycopg2.Error) as caught:
        redshift.sql(statement)
    assert caught.value.pgcode == sqlstate
    assert message in caught.value.diag.message_primary
    assert redshift.tables() == ["t"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'ON CONFLICT; RETURNING width_bucket(1)' AS returned -- FOR UPDATE",
        'SELECT "returning" FROM (SELECT 1 AS "returning") q',
        "WITH a(x) AS (SELECT 1), b(y) AS (SELECT 2) SELECT x, y FROM a, b AS c(y)",
        "SELECT max(id) OVER (PARTITION BY x ORDER BY id ROWS UNBOUNDED PRECEDING) FROM t",
        "SELECT listagg(x, ',') WITHIN GROUP (ORDER BY id) FROM t",
        "SELECT approximate count(DISTINCT x), nvl(max(x), ''), len('é') FROM t",
        "SELECT id FROM t WHERE id IN (1, 2) OR id = ANY (SELECT 1) ORDER BY id NULLS FIRST LIMIT 1",
        "SELECT generate_series(1, 3)",
        "SELECT x::varchar(max), CAST(id AS numeric(10,2)), sysdate, getdate() FROM t",
        "SELECT pg_catalog.has_table_privilege('t', 'SELECT'), trim(both ' ' from x), "
        "substring(x from 1 for 2), extract(year from getdate()), position('a' in x) FROM t",
        "SELECT FNV_HASH(x), strtol('ff', 16), md5(x), mod(id, 2), random() FROM t",
        "EXPLAIN SELECT 1",
        "DELETE FROM t USING t s WHERE t.id = s.id",
        "SELECT * INTO u FROM t",
        "CREATE TABLE u (LIKE t INCLUDING DEFAULTS)",
        "CREATE TEMP TABLE u (id) DISTSTYLE ALL AS SELECT id FROM t",
        "ALTER TABLE t ADD CONSTRAINT p PRIMARY KEY (id)",
        "GRANT SELECT ON t TO GROUP g",
        "CREATE SCHEMA IF NOT EXISTS another QUOTA 10 GB",
    ],
)
def test_it_is_taken(redshift: RedshiftPlace, statement: str) -> None:
    redshift.sql("CREATE TABLE t (id int, x varchar(10))")
    if "GROUP g" in statement:
        redshift.seed("DO $$ BEGIN CREATE ROLE g; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    redshift.sql(statement)


def test_keys_are_declared_and_not_enforced(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int PRIMARY KEY, x varchar UNIQUE, UNIQUE (id, x))")
    redshift.sql("INSERT INTO t VALUES (1, 'a'), (1, 'a')")
    assert redshift.sql("SELECT count(*) FROM t") == [(2,)]
    with pytest.raises(psycopg2.errors.NotNullViolation):
        redshift.sql("INSERT INTO t VALUES (NULL, 'a')")


def test_identifiers_fold_to_lower_case_even_in_quotes(redshift: RedshiftPlace) -> None:
    redshift.sql('CREATE TABLE "Mixed Case" ("Id" int, "ÄÖ" int)')
    assert redshift.tables() == ["mixed case"]
    assert redshift.sql('SELECT "ID", "ÄÖ" FROM "MIXED CASE"') == []


def test_quoted_capitals_count_once_the_session_says_so(redshift: RedshiftPlace) -> None:
    redshift.sql(
        'SET enable_case_sensitive_identifier TO true; CREATE TABLE "Mixed" ("Id" int) SORTKEY ("Id")'
    )
    assert redshift.tables() == ["Mixed"]
    assert redshift.sql(
        "SET enable_case_sensitive_identifier TO on; SHOW enable_case_sensitive_identifier"
    ) == [("on",)]
    assert redshift.sql("SHOW enable_case_sensitive_identifier") == [("off",)]
    redshift.seed('INSERT INTO "Mixed" VALUES (1)')
    assert redshift.sql('SELECT "table", sortkey1 FROM svv_table_info WHERE schema = current_schema()') == [
        ("Mixed", "Id")
    ]


def test_a_backslash_escapes_in_every_string(redshift: RedshiftPlace) -> None:
    assert redshift.sql(r"SELECT 'a\\b', 'it\'s'") == [("a\\b", "it's")]


def test_parameters_of_redshift_alone_are_shown_and_set(redshift: RedshiftPlace) -> None:
    assert redshift.sql("SHOW query_group") == [("unset",)]
    assert redshift.sql("SET query_group TO 'a b'; SHOW query_group") == [("a b",)]
    assert redshift.sql(
        "SET wlm_query_slot_count TO 3; RESET wlm_query_slot_count; SHOW wlm_query_slot_count"
    ) == [("1",)]
    assert redshift.sql("SET statement_timeout TO 5000; SHOW statement_timeout") == [("5s",)]


def test_truncate_commits_its_transaction(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    connection = redshift.connect()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE t")
        connection.rollback()
    connection.close()
    assert redshift.sql("SELECT count(*) FROM t") == [(0,)]


def test_rows_are_appended_outside_of_a_transaction_only(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int); CREATE TABLE s (id int); INSERT INTO s VALUES (1)")
    with pytest.raises(psycopg2.Error, match="cannot run inside a transaction block"):
        redshift.sql("BEGIN; ALTER TABLE t APPEND FROM s")
    redshift.sql("ALTER TABLE t APPEND FROM s")
    assert redshift.sql("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM s)") == [(1, 0)]
