"""Views over a replaced table: named and refused, or pointed at its successor with all that they have."""

from __future__ import annotations

import psycopg2
import pytest
from tests.contract.publications import COLUMNS, LEDGER, interfering, old_table, part, publication
from tests.contract.warehouse_place import Place

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Published

VIEWS = """
CREATE TABLE names (id bigint PRIMARY KEY, name text);
INSERT INTO names SELECT n, 'n' || n FROM generate_series(0, 9) n;
CREATE VIEW seen AS SELECT * FROM scores WHERE proba < 0.3;
CREATE VIEW "Odd, view" WITH (security_barrier = true, check_option = local) AS
    SELECT id AS "the ""id"" x", prediction AS said FROM scores WHERE id < 100;
ALTER VIEW "Odd, view" RENAME COLUMN said TO heard;
ALTER VIEW "Odd, view" ALTER heard SET DEFAULT 'd';
CREATE VIEW joined WITH (security_invoker) AS
    SELECT id, name, count(*) OVER () AS n
    FROM scores JOIN names USING (id) NATURAL JOIN (SELECT id FROM seen) s;
CREATE VIEW over_joined AS SELECT j.*, row_to_json(j)::text AS whole FROM joined j;
CREATE VIEW aliased AS SELECT a, b FROM scores AS s (a, b, c);
CREATE VIEW row_text AS SELECT s::text AS row FROM scores s;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM over_joined;
COMMENT ON VIEW seen IS 'it''s seen'; COMMENT ON COLUMN seen.id IS 'an id';
GRANT SELECT ON seen TO PUBLIC; GRANT UPDATE ("the ""id"" x") ON "Odd, view" TO pg_monitor WITH GRANT OPTION;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER instead INSTEAD OF INSERT ON joined FOR EACH ROW EXECUTE FUNCTION nothing();
"""

#: All that PostgreSQL knows of the views of a schema; their own numbers must not change.
EVERYTHING = """
SELECT c.oid, relname, pg_get_viewdef(c.oid), pg_get_userbyid(relowner), relacl::text, reloptions,
    obj_description(c.oid), relkind::text, ARRAY(SELECT tgname FROM pg_trigger WHERE tgrelid = c.oid)::text,
    ARRAY(SELECT row(attname, atttypid, attacl, pg_get_expr(adbin, adrelid),
                     col_description(c.oid, attnum))::text
          FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
          WHERE attrelid = c.oid ORDER BY attnum)
FROM pg_class c WHERE relkind IN ('v', 'm') AND relnamespace = current_schema()::regnamespace ORDER BY relname
"""


def replace(
    place: Place, *, columns: tuple[OutputColumn, ...] = COLUMNS, cascade_views: bool = True
) -> Published:
    asked = publication(
        place, rows=5, if_exists=IfExists.REPLACE, columns=columns, cascade_views=cascade_views
    )
    return place.publisher.publish(asked, [part(0, 5)])


def check(place: Place, columns: tuple[OutputColumn, ...] = COLUMNS) -> None:
    table = TableName(schema_name=place.schema, name="scores")
    place.warehouse.catalogue.check_output(table, columns, if_exists=IfExists.REPLACE, cascade_views=True)


def test_a_view_that_comes_to_depend_on_the_old_table_keeps_it(place: Place) -> None:
    old_table(place)
    with pytest.raises(Refused, match="seen reads it; add --cascade-views"):
        place.publisher.publish(
            publication(place, rows=10, if_exists=IfExists.REPLACE),
            interfering(place, "CREATE VIEW seen AS SELECT * FROM scores"),
        )
    assert place.sql("SELECT prediction FROM seen") == [("old",)]


def test_views_are_refused_by_name_where_nobody_allowed_to_touch_them(place: Place) -> None:
    old_table(place)
    place.sql("CREATE VIEW one AS SELECT id FROM scores; CREATE VIEW two AS SELECT proba FROM scores; "
              "CREATE VIEW three AS SELECT * FROM one")  # fmt: skip
    with pytest.raises(Refused, match=r"view \S*one, view \S*two read it; add --cascade-views"):
        replace(place, cascade_views=False)
    assert place.sql("SELECT id FROM three") == [(-1,)]


def test_views_stay_what_they_are_and_read_the_new_table(place: Place) -> None:
    old_table(place)
    place.sql(VIEWS)
    before = place.sql(EVERYTHING)
    assert len(before) == 7
    check(place)
    assert replace(place).is_new
    assert place.sql(EVERYTHING) == before
    assert place.sql("SELECT count(*) FROM seen") == [(4,)]
    assert place.sql("SELECT id, name, n FROM over_joined ORDER BY id") == [
        (id_, f"n{id_}", 4) for id_ in range(1, 5)
    ]
    assert place.sql('SELECT heard FROM "Odd, view"') == [("late",)] * 5
    assert place.sql("SELECT a, b FROM aliased WHERE a = 3") == [(3, "late")]
    assert LEDGER in place.tables()
    assert [name for name in place.tables() if name.startswith("skfleet_staging")] == []


def test_a_view_of_another_owner_stays_that_owner_s(place: Place) -> None:
    owner = f"{place.schema}_viewer"
    old_table(place)
    place.sql("CREATE VIEW seen AS SELECT id FROM scores")
    place.sql(f"CREATE ROLE {owner}; ALTER VIEW {place.schema}.seen OWNER TO {owner}", as_superuser=True)
    with pytest.raises(Refused, match=f"make it a member of {owner}"):
        check(place)
    with pytest.raises(Refused, match=f"make it a member of {owner}"):
        replace(place)
    place.sql(f"GRANT {owner} TO fleet_owner", as_superuser=True)
    place.sql(f"GRANT SELECT ON scores TO {owner}; GRANT USAGE ON SCHEMA {place.schema} TO {owner}")
    before = place.sql(EVERYTHING)
    replace(place)
    assert place.sql(EVERYTHING) == before
    assert place.sql("SELECT count(*) FROM seen") == [(5,)]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ((COLUMNS[0], COLUMNS[2]), "reads its column prediction as text, which the new output does not have"),
        ((COLUMNS[0], COLUMNS[1].model_copy(update={"warehouse_type": "varchar(9)"}), COLUMNS[2]),
         r"reads its column prediction as text, which the new output has as varchar\(9\)"),
    ],
)  # fmt: skip
def test_a_view_that_the_new_columns_do_not_make_is_refused(
    place: Place, columns: tuple[OutputColumn, ...], reason: str
) -> None:
    old_table(place)
    place.sql("CREATE VIEW seen AS SELECT upper(prediction) AS p FROM scores")
    with pytest.raises(Refused, match=reason):
        check(place, columns)
    with pytest.raises(Refused, match=reason):
        replace(place, columns=columns)
    assert place.sql("SELECT p FROM seen") == [("OLD",)]


def test_a_view_that_calls_columns_by_their_order_is_refused_if_that_changes(place: Place) -> None:
    """It would go on without a word, reading other columns than before."""
    old_table(place)
    place.sql('CREATE VIEW "by order" AS SELECT a, c FROM scores AS s (a, b, c)')
    swapped = (COLUMNS[2], COLUMNS[1], COLUMNS[0])
    with pytest.raises(Refused, match="by order calls its columns by their order"):
        check(place, swapped)
    with pytest.raises(Refused, match="by order calls its columns by their order"):
        replace(place, columns=swapped)
    replace(place)
    assert place.sql('SELECT min(a) FROM "by order"') == [(0,)]


def test_a_view_that_rests_on_the_primary_key_rests_on_the_new_one(place: Place) -> None:
    """Grouping by a primary key lets a query name columns that depend on it."""
    place.sql(
        "CREATE TABLE scores (id bigint PRIMARY KEY, prediction text, proba float8); "
        "CREATE VIEW grouped AS SELECT id, prediction FROM scores GROUP BY id"
    )
    before = place.sql(EVERYTHING)
    replace(place)
    assert place.sql(EVERYTHING) == before
    with pytest.raises(psycopg2.errors.DependentObjectsStillExist):
        place.sql("ALTER TABLE scores DROP CONSTRAINT scores_pkey")


def test_a_view_that_cannot_be_made_stops_the_swap_and_is_named(place: Place) -> None:
    old_table(place)
    other = f"{place.schema}_other"
    place.sql(
        f"CREATE SCHEMA {other}; CREATE TABLE {other}.t (id bigint); "
        f"CREATE VIEW {place.schema}.far AS SELECT id FROM {place.schema}.scores JOIN {other}.t USING (id); "
        f"GRANT USAGE ON SCHEMA {other} TO fleet_owner; GRANT SELECT ON {place.schema}.far TO fleet_owner; "
        f"ALTER VIEW {place.schema}.far OWNER TO fleet_owner; REVOKE ALL ON SCHEMA {other} FROM fleet_owner",
        as_superuser=True,
    )
    try:
        with pytest.raises(Refused, match=r"does not go with view \S*far, which must be kept"):
            replace(place)
        assert place.sql("SELECT prediction FROM scores") == [("old",)]
        assert place.sql(f"SELECT * FROM {LEDGER}") == []
    finally:
        place.sql(f"DROP SCHEMA {other} CASCADE", as_superuser=True)
