"""Replacing in Redshift: the new table has all that the old one had besides its rows, or is refused."""

from __future__ import annotations

import pytest
from tests.contract.publications import COLUMNS, LEDGER, counts, interfering, part, publication
from tests.contract.warehouse_place import REDSHIFT, Place
from tests.redshift.place import RedshiftPlace

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Published

pytestmark = REDSHIFT

#: Whatever the catalogue knows of a table besides rows and object numbers, one line a fact.
EVERYTHING = """
WITH one AS (SELECT * FROM pg_class WHERE oid = 'scores'::regclass)
SELECT 'table', row(pg_get_userbyid(relowner), obj_description(oid, 'pg_class'),
    ARRAY(SELECT unnest(relacl)::text ORDER BY 1))::text FROM one
UNION ALL
SELECT 'traits', row(diststyle, distkey, sortstyle, sortkeys, encodings)::text
FROM one JOIN redshift.traits ON relid = one.oid
UNION ALL
SELECT 'column', row(attname, format_type(atttypid, atttypmod), attnotnull, attacl::text,
    pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))::text
FROM one JOIN pg_attribute ON attrelid = one.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0
ORDER BY 1, 2
"""

RICH = """
CREATE TABLE scores (
    id bigint NOT NULL ENCODE az64,
    prediction varchar(65535) DEFAULT 'late' ENCODE zstd,
    proba double precision DEFAULT 0.5 + 0.25 ENCODE raw
) DISTSTYLE KEY DISTKEY (id) COMPOUND SORTKEY (prediction, id);
INSERT INTO scores VALUES (-1, 'old', 0);
COMMENT ON TABLE scores IS 'It''s 100% ours';
COMMENT ON COLUMN scores.proba IS 'how sure';
GRANT SELECT ON scores TO PUBLIC;
GRANT INSERT, UPDATE ON scores TO GROUP pg_monitor;
GRANT UPDATE (proba) ON scores TO GROUP pg_monitor;
"""


def replace(
    place: Place, *, cascade_views: bool = False, job: str = "job-1",
    columns: tuple[OutputColumn, ...] = COLUMNS,
) -> Published:  # fmt: skip
    asked = publication(
        place, rows=5, if_exists=IfExists.REPLACE, job=job, columns=columns, cascade_views=cascade_views
    )
    names = [column.name for column in columns]
    return place.publisher.publish(asked, [part(0, 5).select(names)])


def check(place: Place, *, cascade_views: bool = False, columns: tuple[OutputColumn, ...] = COLUMNS) -> None:
    """Ask what the preflight asks."""
    table = TableName(schema_name=place.schema, name="scores")
    place.warehouse.catalogue.check_output(
        table, columns, if_exists=IfExists.REPLACE, cascade_views=cascade_views
    )


def everything(place: Place) -> list[tuple[object, ...]]:
    return place.sql(EVERYTHING, as_superuser=True)


def test_replace_keeps_everything_but_the_rows(place: Place) -> None:
    place.sql(RICH)
    before = everything(place)
    assert len(before) == 5
    check(place)
    for job in ("job-1", "job-2"):
        assert replace(place, job=job).is_new
        assert counts(place) == [("late", 5, 5)]
        assert everything(place) == before
    assert place.tables() == ["scores", LEDGER]


def test_keys_that_redshift_only_believes_are_told_of_the_new_table(
    redshift: RedshiftPlace, place: Place
) -> None:
    """The test server forgets what it is told of keys: here the statement counts."""
    old_table(place)
    place.sql('ALTER TABLE scores ADD CONSTRAINT "by id" PRIMARY KEY (id)', as_superuser=True)
    replace(place)
    told = f'ALTER TABLE "{place.schema}"."scores" ADD CONSTRAINT "by id" PRIMARY KEY (id)'
    assert told in redshift.server.statements


@pytest.mark.parametrize(
    "built",
    ["DISTSTYLE EVEN", "DISTSTYLE ALL SORTKEY (proba)", "INTERLEAVED SORTKEY (id, proba)", "",
     "DISTSTYLE AUTO SORTKEY AUTO"],
)  # fmt: skip
@pytest.mark.parametrize("has_rows", [pytest.param(False, marks=pytest.mark.slow), True])
def test_every_way_to_distribute_and_sort_is_kept(place: Place, built: str, *, has_rows: bool) -> None:
    place.sql(f"CREATE TABLE scores (id bigint NOT NULL, prediction varchar(65535), proba float8) {built}")
    if has_rows:
        place.sql("INSERT INTO scores VALUES (-1, 'old', 0)")
    shown = "SELECT diststyle, sortkey1, sortkey_num FROM svv_table_info WHERE \"table\" = 'scores'"
    keys = "SELECT \"column\", distkey, sortkey FROM pg_table_def WHERE tablename = 'scores' ORDER BY 1"
    before = place.sql(keys), place.sql(shown)
    replace(place)
    assert place.sql(keys) == before[0]
    if has_rows:
        assert place.sql(shown) == before[1]


def test_replace_grants_no_more_than_the_old_table_did(place: Place) -> None:
    """Default privileges give every new table to somebody; the old one was taken away from them."""
    old_table(place)
    place.sql(
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {place.schema} GRANT SELECT ON TABLES TO PUBLIC",
        as_superuser=True,
    )
    place.sql(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE fleet_owner IN SCHEMA {place.schema} GRANT SELECT ON TABLES TO "
        "PUBLIC; REVOKE ALL ON scores FROM PUBLIC",
        as_superuser=True,
    )
    replace(place)
    (rights,) = place.sql("SELECT has_table_privilege('pg_monitor', 'scores', 'SELECT')", as_superuser=True)
    assert rights == (False,)


def old_table(place: Place) -> None:
    place.sql("CREATE TABLE scores (id bigint, prediction varchar(65535), proba float8)")
    place.sql("INSERT INTO scores VALUES (-1, 'old', 0)")


def test_grants_and_comments_of_columns_that_are_no_more_go_with_them(place: Place) -> None:
    place.sql(
        "CREATE TABLE scores (id int, gone int DEFAULT 7); COMMENT ON COLUMN scores.gone IS 'x'; "
        "COMMENT ON COLUMN scores.id IS 'kept'; GRANT SELECT (gone), SELECT (id) ON scores TO PUBLIC"
    )
    replace(place)
    assert place.sql("SELECT col_description('scores'::regclass, 1)", as_superuser=True) == [("kept",)]
    assert place.sql(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'scores'::regclass AND attacl IS NOT NULL",
        as_superuser=True,
    ) == [("id",)]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("CREATE TABLE scores (id bigint, gone int) DISTSTYLE KEY DISTKEY (gone)",
         "distribution or sort key stands on its column gone, which the new output does not have"),
        ("CREATE TABLE scores (id bigint, gone int) SORTKEY (id, gone)",
         "sort key stands on its column gone"),
        ("CREATE TABLE t (id bigint); CREATE VIEW scores AS SELECT id FROM t",
         "is a view, which cannot be replaced"),
    ],
)  # fmt: skip
def test_what_would_be_lost_is_refused_early_and_late(place: Place, made: str, said: str) -> None:
    place.sql(made)
    before = place.tables()
    with pytest.raises(Refused, match=said):
        check(place)
    with pytest.raises(Refused, match=said):
        replace(place)
    assert set(place.tables()) - {LEDGER} == set(before)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("ALTER TABLE scores ADD gone int; ALTER TABLE scores ADD CONSTRAINT odd UNIQUE (id, gone)",
         "constraint odd stands on its column gone"),
        ("ALTER TABLE scores ADD PRIMARY KEY (id); "
         "CREATE TABLE child (id bigint, CONSTRAINT up FOREIGN KEY (id) REFERENCES scores (id))",
         "without losing the foreign key up of .*child"),
    ],
)  # fmt: skip
def test_keys_that_would_be_lost_are_refused(place: Place, made: str, said: str) -> None:
    old_table(place)
    place.sql(made, as_superuser=True)
    with pytest.raises(Refused, match=said):
        check(place)


def test_views_are_refused_by_name_where_nobody_allowed_to_touch_them(place: Place) -> None:
    old_table(place)
    place.sql("CREATE VIEW one AS SELECT id FROM scores; CREATE VIEW two AS SELECT proba FROM scores; "
              "CREATE VIEW three AS SELECT * FROM one")  # fmt: skip
    with pytest.raises(Refused, match=r"view \S*one, view \S*two read it; add --cascade-views"):
        replace(place)
    assert place.sql("SELECT id FROM three") == [(-1,)]


def test_views_without_schema_binding_go_on_by_name(place: Place) -> None:
    old_table(place)
    place.sql(f"CREATE VIEW late AS SELECT prediction FROM {place.schema}.scores WITH NO SCHEMA BINDING")
    check(place)
    replace(place)
    assert place.sql("SELECT DISTINCT prediction FROM late") == [("late",)]


VIEWS = """
SELECT c.oid, relname, pg_get_viewdef(c.oid), pg_get_userbyid(relowner), relacl::text, obj_description(c.oid)
FROM pg_class c WHERE relkind = 'v' AND relnamespace = current_schema()::regnamespace ORDER BY relname
"""


def test_bound_views_stay_what_they_are_and_read_the_new_table(place: Place) -> None:
    old_table(place)
    place.sql(
        "CREATE VIEW seen AS SELECT * FROM scores WHERE proba < 0.3; "
        'CREATE VIEW "Odd, view" (heard) AS SELECT prediction AS said FROM scores WHERE id < 100; '
        "CREATE VIEW over_it AS SELECT count(*) AS n FROM seen; COMMENT ON VIEW seen IS 'it''s seen'; "
        "GRANT SELECT ON seen TO PUBLIC"
    )
    before = place.sql(VIEWS, as_superuser=True)
    assert len(before) == 3
    check(place, cascade_views=True)
    assert replace(place, cascade_views=True).is_new
    assert place.sql(VIEWS, as_superuser=True) == before
    assert place.sql("SELECT n FROM over_it") == [(4,)]
    assert place.sql('SELECT DISTINCT heard FROM "Odd, view"') == [("late",)]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ((COLUMNS[0], COLUMNS[2]), "reads its column prediction as .*, which the new output does not have"),
        ((COLUMNS[0], COLUMNS[1].model_copy(update={"warehouse_type": "varchar(9)"}), COLUMNS[2]),
         r"which the new output has as character varying\(9\)"),
    ],
)  # fmt: skip
def test_a_view_that_the_new_columns_do_not_make_is_refused(
    place: Place, columns: tuple[OutputColumn, ...], reason: str
) -> None:
    old_table(place)
    place.sql("CREATE VIEW seen AS SELECT upper(prediction) AS p FROM scores")
    with pytest.raises(Refused, match=reason):
        check(place, columns=columns, cascade_views=True)
    with pytest.raises(Refused, match=reason):
        replace(place, columns=columns, cascade_views=True)
    assert place.sql("SELECT p FROM seen") == [("OLD",)]


def test_a_view_that_calls_columns_by_their_order_is_refused_if_that_changes(place: Place) -> None:
    old_table(place)
    place.sql('CREATE VIEW "by order" AS SELECT a, c FROM scores AS s (a, b, c)')
    swapped = (COLUMNS[2], COLUMNS[1], COLUMNS[0])
    with pytest.raises(Refused, match="by order calls its columns by their order"):
        check(place, columns=swapped, cascade_views=True)
    replace(place, cascade_views=True)
    assert place.sql('SELECT min(a) FROM "by order"') == [(0,)]


def test_a_view_that_comes_to_depend_on_the_old_table_keeps_it(place: Place) -> None:
    old_table(place)
    with pytest.raises(Refused, match="seen reads it; add --cascade-views"):
        place.publisher.publish(
            publication(place, rows=10, if_exists=IfExists.REPLACE),
            interfering(place, "CREATE VIEW seen AS SELECT * FROM scores"),
        )
    assert place.sql("SELECT prediction FROM seen") == [("old",)]
    assert place.tables() == ["scores", "seen", LEDGER]


def test_what_is_granted_while_the_successor_loads_is_not_lost(place: Place) -> None:
    old_table(place)
    place.publisher.publish(
        publication(place, rows=10, if_exists=IfExists.REPLACE),
        interfering(place, "GRANT SELECT ON scores TO GROUP pg_monitor; COMMENT ON TABLE scores IS 'new'"),
    )
    assert counts(place) == [("late", 10, 10)]
    assert place.sql(
        "SELECT has_table_privilege('pg_monitor', 'scores', 'SELECT'), obj_description('scores'::regclass)",
        as_superuser=True,
    ) == [(True, "new")]
