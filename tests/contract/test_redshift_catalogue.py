"""Redshift's own: views without schema binding, external tables, SUPER, sort keys and statistics."""

from __future__ import annotations

import pytest
from tests.contract.warehouse_place import REDSHIFT, RedshiftSchema
from tests.redshift.refusal import Refusal

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.port import Layout, Selection

pytestmark = REDSHIFT


def types_of(place: RedshiftSchema, name: str) -> dict[str, tuple[str, LogicalDtype]]:
    return {column.name: (column.warehouse_type, column.dtype) for column in place.table(name).columns}


def test_types_are_what_their_values_are(place: RedshiftSchema) -> None:
    place.sql(
        "CREATE TABLE t (a smallint NOT NULL, b int, c bigint, d real, e double precision, f float, "
        "g numeric(10,2), h decimal, i boolean, j varchar(5), k char(3), l text, m date, n timestamp, "
        "o timestamptz, p time, q timetz, r super, s varbyte(9))"
    )
    assert types_of(place, "t") == {
        "a": ("smallint", LogicalDtype.INTEGER),
        "b": ("integer", LogicalDtype.INTEGER),
        "c": ("bigint", LogicalDtype.INTEGER),
        "d": ("real", LogicalDtype.FLOAT32),
        "e": ("double precision", LogicalDtype.FLOAT64),
        "f": ("double precision", LogicalDtype.FLOAT64),
        "g": ("numeric(10,2)", LogicalDtype.DECIMAL),
        "h": ("numeric(18,0)", LogicalDtype.DECIMAL),
        "i": ("boolean", LogicalDtype.BOOLEAN),
        "j": ("character varying(5)", LogicalDtype.TEXT),
        "k": ("character(3)", LogicalDtype.TEXT),
        "l": ("character varying(256)", LogicalDtype.TEXT),
        "m": ("date", LogicalDtype.DATE),
        "n": ("timestamp without time zone", LogicalDtype.TIMESTAMP),
        "o": ("timestamp with time zone", LogicalDtype.TIMESTAMPTZ),
        "p": ("time without time zone", LogicalDtype.TIME),
        "q": ("time with time zone", LogicalDtype.OTHER),
        "r": ("super", LogicalDtype.OTHER),
        "s": (types_of(place, "t")["s"][0], LogicalDtype.OTHER),
    }
    assert [column.name for column in place.table("t").columns if not column.nullable] == ["a"]


def test_a_view_without_schema_binding_is_described_and_read(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE base (id int, name varchar(7), price numeric(9,3))")
    place.sql("INSERT INTO base VALUES (1, 'a', 1.5), (2, NULL, 2)")
    place.sql(f"CREATE VIEW late AS SELECT id, name, price FROM {place.schema}.base WITH NO SCHEMA BINDING")
    assert types_of(place, "late") == {
        "id": ("integer", LogicalDtype.INTEGER),
        "name": ("character varying(7)", LogicalDtype.TEXT),
        "price": ("numeric(9,3)", LogicalDtype.DECIMAL),
    }
    batches = place.warehouse.reader.read(place.rows_of("late"), features=["price"], verbatim=["name"])
    assert sorted(row["price"] for batch in batches for row in batch.features.to_pylist()) == [1.5, 2.0]


def test_an_external_table_is_described_and_read(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE lake (id bigint, name varchar(20))")
    place.sql("INSERT INTO lake VALUES (1, 'a')")
    place.redshift.server.describe(f"{place.schema}.lake", external_location="s3://lake/events/")
    assert types_of(place, "lake") == {
        "id": ("bigint", LogicalDtype.INTEGER),
        "name": ("character varying(20)", LogicalDtype.TEXT),
    }
    (batch,) = place.warehouse.reader.read(place.rows_of("lake"), features=["id"])
    assert batch.features.to_pylist() == [{"id": 1}]
    assert place.warehouse.keys.layout(place.rows_of("lake")) is None


def test_blanks_at_the_end_mean_nothing_in_char_and_something_in_varchar(place: RedshiftSchema) -> None:
    place.seed(
        "CREATE TABLE t (c char(4), v varchar(4)); INSERT INTO t VALUES ('a', 'a'), ('', ''), ('a ', 'a ')"
    )
    place.seed("INSERT INTO t VALUES (NULL, NULL)")
    source = place.rows_of("t")
    (batch,) = place.warehouse.reader.read(source, features=["c", "v"], verbatim=["c", "v"])
    read = [(row["c"], row["v"]) for row in batch.features.to_pylist()]
    assert sorted(read, key=repr) == sorted([("a", "a"), ("", ""), ("a", "a "), (None, None)], key=repr)
    assert batch.verbatim.to_pylist() == batch.features.to_pylist()
    counts = place.warehouse.keys.feature_counts(source, ["c", "v"], categorical=["c", "v"])
    assert counts.levels == {"c": {"a": 2, "": 1}, "v": {"a": 1, "a ": 1, "": 1}}
    assert counts.nulls == {"c": 1, "v": 1}


@pytest.mark.parametrize("spelled", ["super", "timetz"])
def test_keys_without_ranges_are_refused(place: RedshiftSchema, spelled: str) -> None:
    place.sql(f"CREATE TABLE t (key {spelled})")
    with pytest.raises(Refused, match="which has no ranges"):
        place.warehouse.keys.histogram(place.rows_of("t"), "key", chunk_rows=10)


def test_ids_that_cannot_be_compared_are_refused(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id super)")
    with pytest.raises(Refused, match="is super, which Redshift does not compare"):
        place.warehouse.keys.check_ids(place.rows_of("t"), ["id"])


def test_a_primary_key_is_not_believed(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int NOT NULL, PRIMARY KEY (id))")
    place.sql("INSERT INTO t VALUES (1), (1)")
    with pytest.raises(
        Refused, match="repeats: 1 of its values stand on more than one row, one of them on 2"
    ):
        place.warehouse.keys.check_ids(place.rows_of("t"), ["id"])


def test_a_layout_tells_the_sort_key_and_what_statistics_say(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int, day date, x int) COMPOUND SORTKEY (day, id)")
    place.sql("INSERT INTO t VALUES (1, '2024-01-01', 1), (2, '2024-01-02', 1)")
    place.redshift.server.describe(f"{place.schema}.t", stats_off=37.5, unsorted=80, deleted_rows=5)
    layout = place.warehouse.keys.layout(place.rows_of("t"))
    assert layout == Layout(sort_key=("day", "id"), rows=2, unsorted=80.0, stats_off=37.5)


def test_a_layout_without_the_right_to_see_statistics_has_the_sort_key_alone(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int) SORTKEY (id)")
    denied = Refusal("permission denied for relation svv_table_info", sqlstate="42501")
    place.redshift.server.fail("svv_table_info", denied)
    assert place.warehouse.keys.layout(place.rows_of("t")) == Layout(sort_key=("id",))


def test_a_view_and_a_query_have_no_layout(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int)")
    place.sql(f"CREATE VIEW late AS SELECT id FROM {place.schema}.t WITH NO SCHEMA BINDING")
    layout = place.warehouse.keys.layout
    assert layout(place.rows_of("late")) is None
    assert layout(Selection(table=place.table("t"), query="SELECT 1 AS a")) is None


def test_a_cluster_of_one_node_is_asked_for_as_many_rows_as_it_gives(place: RedshiftSchema) -> None:
    place.seed("CREATE TABLE t (id int); INSERT INTO t SELECT g FROM generate_series(1, 2500) g")
    refusal = Refusal(
        "Fetch size 10000 exceeds the limit of 1000 for a single node configuration.", sqlstate="XX000"
    )
    place.redshift.server.fail("FETCH FORWARD 10000", refusal)
    batches = list(place.warehouse.reader.read(place.rows_of("t"), features=["id"]))
    assert [batch.features.num_rows for batch in batches] == [1000, 1000, 500]


def test_only_what_is_asked_for_is_read(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int, a int, b int, c varchar(9))")
    source = place.rows_of("t")
    place.redshift.server.statements.clear()
    list(place.warehouse.reader.read(source, features=["a", "id"], verbatim=["id"]))
    (declared,) = [sql for sql in place.redshift.server.statements if sql.startswith("DECLARE")]
    assert f'SELECT "a", "id" FROM "{place.schema}"."t" WHERE true' in declared
