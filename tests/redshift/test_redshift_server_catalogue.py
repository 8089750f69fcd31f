"""The catalogue of the test server: what a client learns of tables, columns and views."""

from __future__ import annotations

import psycopg2
import pytest

from tests.redshift.place import RedshiftPlace

INFO = (
    'SELECT "table", diststyle, sortkey1, sortkey_num, tbl_rows, stats_off, unsorted FROM svv_table_info '
    'WHERE "schema" = current_schema() ORDER BY 1'
)


def test_attributes_of_a_table_are_kept_and_shown(redshift: RedshiftPlace) -> None:
    redshift.sql(
        "CREATE TABLE t (id bigint ENCODE az64 DISTKEY, day date SORTKEY, n numeric NOT NULL DEFAULT 1, "
        "x text, y varchar(max), z char) BACKUP NO"
    )
    redshift.sql("CREATE TABLE u (id int, a int, b int) DISTSTYLE KEY DISTKEY (id) COMPOUND SORTKEY (a, b)")
    redshift.sql("CREATE TABLE v DISTSTYLE ALL AS SELECT id FROM u")
    redshift.sql(
        "INSERT INTO t (id) VALUES (1); INSERT INTO u VALUES (1, 2, 3); INSERT INTO v VALUES (1), (2)"
    )
    assert redshift.sql(INFO) == [
        ("t", "KEY(id)", "day", 1, 1, 0, None),
        ("u", "KEY(id)", "a", 2, 1, 0, None),
        ("v", "ALL", "AUTO(SORTKEY)", 0, 2, 0, None),
    ]
    columns = redshift.sql(
        'SELECT "column", trim(type), trim(encoding), distkey, sortkey, "notnull" FROM pg_table_def '
        "WHERE tablename = 't' AND schemaname = current_schema()"
    )
    assert columns == [
        ("id", "bigint", "az64", True, 0, False),
        ("day", "date", "none", False, 1, False),
        ("n", "numeric(18,0)", "none", False, 0, True),
        ("x", "character varying(256)", "none", False, 0, False),
        ("y", "character varying(65535)", "none", False, 0, False),
        ("z", "character(1)", "none", False, 0, False),
    ]


def test_an_empty_table_has_no_information(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int)")
    assert redshift.sql(INFO) == []


def test_a_test_may_say_what_is_known_of_a_table(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    redshift.server.describe(f"{redshift.schema}.t", stats_off=40, unsorted=80, deleted_rows=9)
    assert redshift.sql(INFO) == [("t", "AUTO(EVEN)", "AUTO(SORTKEY)", 0, 10, 40, 80)]
    redshift.sql("VACUUM t")
    redshift.sql("ANALYZE t")
    assert redshift.sql(INFO) == [("t", "AUTO(EVEN)", "AUTO(SORTKEY)", 0, 1, 0, 0)]


def test_attributes_follow_a_table_through_like_rename_and_alter(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int ENCODE zstd, day date) DISTKEY (id) SORTKEY (day)")
    redshift.sql("CREATE TABLE u (LIKE t); INSERT INTO u VALUES (1)")
    redshift.sql("ALTER TABLE u RENAME COLUMN day TO daily; ALTER TABLE u RENAME TO w")
    assert redshift.sql(INFO)[0][:3] == ("w", "KEY(id)", "daily")
    redshift.sql("ALTER TABLE w ALTER SORTKEY (id); ALTER TABLE w ALTER DISTSTYLE EVEN")
    assert redshift.sql(INFO)[0][:3] == ("w", "EVEN", "id")


def test_attributes_of_a_table_that_is_rolled_back_are_forgotten(redshift: RedshiftPlace) -> None:
    connection = redshift.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (id int) SORTKEY (id)")
        cursor.execute("INSERT INTO t VALUES (1)")
        cursor.execute(INFO)
        assert cursor.fetchall()[0][2] == "id"
        connection.rollback()
    connection.close()
    assert redshift.sql(INFO) == []


def test_a_late_binding_view_outlives_its_table(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int, x varchar(7)); INSERT INTO t VALUES (1, 'a')")
    redshift.sql(f"CREATE VIEW v AS SELECT id, x AS y FROM {redshift.schema}.t WITH NO SCHEMA BINDING")
    assert redshift.sql("SELECT * FROM v") == [(1, "a")]
    redshift.sql("DROP TABLE t")
    with pytest.raises(psycopg2.errors.UndefinedTable):
        redshift.sql("SELECT * FROM v")
    columns = redshift.sql(
        "SELECT col_name, col_type, col_num FROM pg_get_late_binding_view_cols() "
        "cols(view_schema name, view_name name, col_name name, col_type varchar, col_num int) "
        "WHERE view_schema = current_schema() AND view_name = 'v'"
    )
    assert columns == [("id", "integer", 1), ("y", "character varying(7)", 2)]
    in_class = (
        "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname = 'v'"
    )
    assert redshift.sql(in_class) == [(0,)]
    assert redshift.sql(
        "SELECT count(*) FROM svv_columns WHERE table_name = 'v' AND table_schema = current_schema()"
    ) == [(2,)]


def test_an_external_table_is_in_its_own_views(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE e (id int, x varchar(7)); INSERT INTO e VALUES (1, 'a')")
    redshift.server.describe(f"{redshift.schema}.e", external_location="s3://bucket/e/")
    assert redshift.sql(
        "SELECT tablename, location FROM svv_external_tables WHERE schemaname = current_schema()"
    ) == [("e", "s3://bucket/e/")]
    assert redshift.sql(
        "SELECT columnname, external_type FROM svv_external_columns WHERE schemaname = current_schema()"
    ) == [
        ("id", "integer"),
        ("x", "character varying(7)"),
    ]
    assert redshift.sql("SELECT count(*) FROM pg_class WHERE relname = 'e'") == [(0,)]
    assert redshift.sql(INFO) == []
    assert redshift.sql("SELECT * FROM e") == [(1, "a")]


def test_types_that_postgresql_lacks_keep_their_names(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (a super, b varbyte(100), c hllsketch, d geometry, e timetz)")
    found = redshift.sql(
        "SELECT column_name, data_type FROM svv_columns WHERE table_schema = current_schema() ORDER BY 1"
    )
    assert found == [
        ("a", "super"),
        ("b", "binary varying"),
        ("c", "hllsketch"),
        ("d", "geometry"),
        ("e", "time with time zone"),
    ]


def test_privileges_comments_and_owners_are_answered(redshift: RedshiftPlace) -> None:
    redshift.sql(
        "CREATE TABLE t (id int); GRANT SELECT ON t TO PUBLIC; COMMENT ON TABLE t IS 'it'; "
        "COMMENT ON COLUMN t.id IS 'its'"
    )
    granted = redshift.sql(
        "SELECT privilege_type, identity_name FROM svv_relation_privileges "
        "WHERE namespace_name = current_schema() AND relation_name = 't' AND identity_type = 'public'"
    )
    assert granted == [("select", "public")]
    assert redshift.sql("SELECT remarks FROM svv_tables WHERE table_schema = current_schema()") == [("it",)]
    assert redshift.sql("SELECT obj_description('t'::regclass), col_description('t'::regclass, 1)") == [
        ("it", "its")
    ]
