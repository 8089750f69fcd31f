"""Keys: ids proven, histograms exact, whatever the type and distribution of the split column."""

from __future__ import annotations

import statistics

import psycopg2
import pytest
from tests.contract.warehouse_place import BOTH, Place

from skfleet.plan import plan_chunks
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.port import KeyHistogram

ROWS = 12_000

#: Split keys of 12,000 rows g = 1 … 12,000 as SQL: type, expression.
KEYS = {
    "integer in order": ("bigint", "g"),
    "integer in clusters": ("bigint", "(g % 7) * 1000000000000 + g"),
    "integer, lognormal": ("bigint", "exp(8 + 2 * random_normal())::bigint"),
    "smallint that repeats": ("smallint", "g % 500"),
    "numeric": ("numeric(20,6)", "sqrt(g)::numeric(20,6) * CASE WHEN g % 2 = 0 THEN -1 ELSE 1 END"),
    "double with infinities and NaN": (
        "double precision",
        "CASE g WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' WHEN 3 THEN 'Infinity' ELSE random_normal() END",
    ),
    "text": ("text", "md5(g::text)"),
    "text with quotes and backslashes": (
        "text",
        """chr(34) || chr(39) || chr(92) || '%s{}é' || (g * 7919 % 30011)""",
    ),
    "text in another collation": ('text COLLATE "pg_c_utf8"', "CASE g % 2 WHEN 0 THEN 'a' ELSE 'Ä' END || g"),
    "char(n)": ("char(8)", "g % 9000"),
    "uuid": ("uuid", "md5(g::text)::uuid"),
    "date that repeats": ("date", "date '1999-12-31' + g % 900"),
    "timestamp": ("timestamp", "timestamp '2020-01-01' + (g * g % 7919) * interval '1.000001 hour'"),
    "timestamptz": ("timestamptz", "timestamptz '1900-01-01' + g * interval '1 day'"),
    "NULL in a third": ("bigint", "CASE WHEN g % 3 > 0 THEN g END"),
    "enum": ("level", "(ARRAY['z', 'b', 'a'])[1 + g % 3]::level"),
}


#: What Redshift has no types or collations for.
POSTGRES_ALONE = ("text in another collation", "uuid", "enum")
EVERYWHERE = [
    pytest.param(warehouse, kind, id=f"{warehouse}-{kind}")
    for warehouse in ("postgres", "redshift")
    for kind in KEYS
    if warehouse == "postgres" or kind not in POSTGRES_ALONE
]


def fill(place: Place, kind: str, *, rows: int = ROWS) -> str:
    spelled, expression = KEYS[kind]
    place.seed(
        ("CREATE TYPE level AS ENUM ('z', 'b', 'a'); " if kind == "enum" else "")
        + f"CREATE TABLE t (id bigint, key {spelled}); "
        f"INSERT INTO t SELECT g, {expression} FROM generate_series(1, {rows}) g"
    )
    column = place.table("t").column("key")
    assert column is not None
    return column.warehouse_type


@pytest.mark.parametrize("chunk_rows", [100, 1_000, 1_000_000])
@pytest.mark.parametrize(("place", "kind"), EVERYWHERE, indirect=["place"])
def test_reading_every_chunk_gives_every_row_once_and_as_many_as_were_counted(
    place: Place, kind: str, chunk_rows: int
) -> None:
    split_type = fill(place, kind)
    source = place.rows_of("t")
    plan = plan_chunks(
        place.warehouse.keys.histogram(source, "key", chunk_rows=chunk_rows), chunk_rows=chunk_rows
    )
    assert plan.rows == ROWS
    step = max(1, len(plan.chunks) // 12)  # a dozen chunks of many, and always the last two
    seen: set[int] = set()
    for chunk in [*plan.chunks[:-2:step], *plan.chunks[-2:]]:
        batches = place.warehouse.reader.read(
            source, features=["id"], split_column="key", split_type=split_type, within=chunk.range
        )
        ids = [number for batch in batches for number in batch.features["id"].to_pylist()]
        assert len(ids) == chunk.rows
        assert seen.isdisjoint(ids)
        seen.update(ids)
    if step == 1:
        assert seen == set(range(1, ROWS + 1))


@pytest.mark.parametrize(
    ("place", "kind"),
    [case for case in EVERYWHERE if "repeat" not in str(case.id) and "enum" not in str(case.id)],
    indirect=["place"],
)
def test_chunks_are_nearly_equal_however_the_keys_lie(place: Place, kind: str) -> None:
    fill(place, kind)
    plan = plan_chunks(
        place.warehouse.keys.histogram(place.rows_of("t"), "key", chunk_rows=1_200), chunk_rows=1_200
    )
    sizes = [chunk.rows for chunk in plan.chunks if not chunk.range.nulls]
    assert max(sizes) / statistics.mean(sizes) <= 1.2


def histogram_of(place: Place, rows_sql: str, *, chunk_rows: int, key: str = "bigint") -> KeyHistogram:
    place.seed(f"CREATE TABLE t (key {key}); INSERT INTO t {rows_sql}")
    return place.warehouse.keys.histogram(place.rows_of("t"), "key", chunk_rows=chunk_rows)


@BOTH
@pytest.mark.parametrize("chunk_rows", [1, 10_000])
def test_an_empty_table_has_no_bins(place: Place, chunk_rows: int) -> None:
    histogram = histogram_of(place, "SELECT 1 WHERE false", chunk_rows=chunk_rows)
    assert (histogram.bins, histogram.null_rows) == ((), 0)


@BOTH
@pytest.mark.parametrize("chunk_rows", [1, 10_000])
def test_one_row_is_one_bin(place: Place, chunk_rows: int) -> None:
    histogram = histogram_of(place, "VALUES (42)", chunk_rows=chunk_rows)
    assert [(part.first, part.last, part.rows) for part in histogram.bins] == [("42", "42", 1)]


@BOTH
@pytest.mark.parametrize("chunk_rows", [1, 1_000])
def test_keys_that_are_all_null_are_counted_alone(place: Place, chunk_rows: int) -> None:
    histogram = histogram_of(place, "SELECT NULL FROM generate_series(1, 5000)", chunk_rows=chunk_rows)
    assert (histogram.bins, histogram.null_rows) == ((), 5_000)


@BOTH
@pytest.mark.parametrize("chunk_rows", [1, 1_000])
def test_keys_that_are_all_equal_are_one_bin(place: Place, chunk_rows: int) -> None:
    histogram = histogram_of(place, "SELECT 7 FROM generate_series(1, 5000)", chunk_rows=chunk_rows)
    assert [(part.first, part.last, part.rows) for part in histogram.bins] == [("7", "7", 5_000)]


@BOTH
@pytest.mark.parametrize("chunk_rows", [200, 1_000])
def test_a_key_heavier_than_a_chunk_has_a_bin_nearly_to_itself(place: Place, chunk_rows: int) -> None:
    histogram = histogram_of(
        place, "SELECT CASE WHEN g % 2 = 0 THEN 5000 ELSE g END FROM generate_series(1, 10000) g",
        chunk_rows=chunk_rows,
    )  # fmt: skip
    heavy = next(part for part in histogram.bins if part.rows >= 5_000)
    assert heavy.first == "5000"
    assert heavy.rows <= 5_000 + chunk_rows // 8  # up to the next key that the sample saw


@BOTH
def test_chunks_of_one_row(place: Place) -> None:
    histogram = histogram_of(place, "SELECT g FROM generate_series(1, 300) g", chunk_rows=1)
    plan = plan_chunks(histogram, chunk_rows=1)
    assert [chunk.rows for chunk in plan.chunks] == [1] * 300


@BOTH
def test_only_the_selected_rows_are_counted(place: Place) -> None:
    place.seed(
        "CREATE TABLE t (key int, carrier text); INSERT INTO t SELECT g, '%{}' FROM generate_series(1, 90) g"
    )
    source = place.rows_of("t", "key % 3 = 0 AND carrier LIKE '%{}'")
    assert place.warehouse.keys.histogram(source, "key", chunk_rows=1_000).rows == 30


def test_a_view_and_a_partitioned_table_are_counted_too(place: Place) -> None:
    place.sql(
        "CREATE TABLE parts (key int) PARTITION BY RANGE (key); "
        "CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (500); "
        "CREATE TABLE high PARTITION OF parts DEFAULT; "
        "INSERT INTO parts SELECT g FROM generate_series(1, 5000) g; CREATE VIEW seen AS SELECT * FROM parts"
    )
    for name in ("parts", "seen"):
        histogram = place.warehouse.keys.histogram(place.rows_of(name), "key", chunk_rows=1_000)
        assert histogram.rows == 5_000


@pytest.mark.parametrize("spelled", ["boolean", "jsonb", "int[]", "interval", "point"])
def test_keys_without_ranges_are_refused(place: Place, spelled: str) -> None:
    place.sql(f"CREATE TABLE t (key {spelled})")
    with pytest.raises(Refused, match="which has no ranges"):
        place.warehouse.keys.histogram(place.rows_of("t"), "key", chunk_rows=10)


def check_ids(place: Place, *columns: str, where: str | None = None) -> None:
    place.warehouse.keys.check_ids(place.rows_of("t", where), columns)


@BOTH
def test_ids_that_are_unique_pass_with_and_without_an_index(place: Place) -> None:
    place.seed(
        "CREATE TABLE t (id int PRIMARY KEY, other int, a int, b int); "
        "INSERT INTO t SELECT g, g, g % 10, g / 10 FROM generate_series(1, 99) g"
    )
    check_ids(place, "id")
    check_ids(place, "other")
    check_ids(place, "a", "b")
    check_ids(place, "id", "a")


@BOTH
def test_null_ids_are_refused_with_their_number(place: Place) -> None:
    place.seed(
        "CREATE TABLE t (a int UNIQUE, b int); INSERT INTO t VALUES (1, 1), (NULL, 1), (NULL, 2), (3, NULL)"
    )
    with pytest.raises(Refused, match=r"a of .* is NULL in 2 of the rows"):
        check_ids(place, "a")
    with pytest.raises(Refused, match=r"a, b of .* is NULL in 3 of the rows"):
        check_ids(place, "a", "b")
    check_ids(place, "a", where="a IS NOT NULL")


@BOTH
def test_null_beside_a_unique_column_is_refused_although_an_index_proves_uniqueness(place: Place) -> None:
    place.seed("CREATE TABLE t (id int PRIMARY KEY, b int); INSERT INTO t VALUES (1, NULL)")
    with pytest.raises(Refused, match=r"id, b of .* is NULL in 1 of the rows"):
        check_ids(place, "id", "b")


@BOTH
def test_ids_that_repeat_are_refused_with_their_number(place: Place) -> None:
    place.seed(
        "CREATE TABLE t (a int); INSERT INTO t SELECT least(g, 8) FROM generate_series(1, 10) g; "
        "INSERT INTO t VALUES (1)"
    )
    with pytest.raises(
        Refused, match=r"repeats: 2 of its values stand on more than one row, one of them on 3;"
    ):
        check_ids(place, "a")


@pytest.mark.parametrize(
    "index",
    [
        "CREATE UNIQUE INDEX ON t (a) WHERE b > 1",
        "CREATE UNIQUE INDEX ON t (a, b)",
        "CREATE UNIQUE INDEX ON t ((a + b))",
        "CREATE UNIQUE INDEX ON t (b) INCLUDE (a)",
        "CREATE INDEX ON t (a)",
    ],
)
def test_an_index_that_proves_nothing_is_not_believed(place: Place, index: str) -> None:
    place.sql(
        f"CREATE TABLE t (a int NOT NULL, b int NOT NULL); {index}; INSERT INTO t VALUES (1, 1), (1, 0)"
    )
    with pytest.raises(Refused, match="repeats"):
        check_ids(place, "a")


def test_the_index_of_a_parent_says_nothing_of_its_children(place: Place) -> None:
    place.sql(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE child () INHERITS (t); "
        "INSERT INTO t VALUES (1); INSERT INTO child VALUES (1)"
    )
    with pytest.raises(Refused, match="repeats"):
        check_ids(place, "id")


def test_ids_that_cannot_be_compared_are_refused(place: Place) -> None:
    place.sql("CREATE TABLE t (id json)")
    with pytest.raises(Refused, match="cannot compare"):
        check_ids(place, "id")


@BOTH
def test_nulls_and_levels_are_counted_exactly(place: Place) -> None:
    place.seed(
        "CREATE TABLE t (id int, carrier text, code char(3), n int, empty text); "
        "INSERT INTO t VALUES (1, 'UA', 'a', 5, NULL), (2, 'ua', 'a ', 5, NULL), (3, '', NULL, NULL, NULL), "
        "(4, 'UA', 'b', 7, NULL), (5, 'it''s {} %s', 'b', 7, NULL)"
    )
    counts = place.warehouse.keys.feature_counts(
        place.rows_of("t", "id <> 4"),
        ["carrier", "code", "n", "empty"],
        categorical=["carrier", "code", "n", "empty"],
    )
    assert counts.rows == 4
    assert counts.nulls == {"carrier": 0, "code": 1, "n": 1, "empty": 4}
    assert counts.levels == {
        "carrier": {"UA": 1, "ua": 1, "": 1, "it's {} %s": 1},
        "code": {"a": 2, "b": 1},
        "n": {"5": 2, "7": 1},
        "empty": {},
    }


@BOTH
def test_many_categorical_columns_are_counted(place: Place) -> None:
    names = [f"c{number}" for number in range(40)]
    place.seed(
        f"CREATE TABLE t ({', '.join(f'{name} text' for name in names)}); "
        "INSERT INTO t (c0, c39) VALUES ('x', 'y')"
    )
    counts = place.warehouse.keys.feature_counts(place.rows_of("t"), names, categorical=names)
    assert {name: found for name, found in counts.levels.items() if found} == {
        "c0": {"x": 1},
        "c39": {"y": 1},
    }


@BOTH
def test_an_empty_table_counts_nothing(place: Place) -> None:
    place.seed("CREATE TABLE t (a int, b text)")
    counts = place.warehouse.keys.feature_counts(place.rows_of("t"), ["a", "b"], categorical=["b"])
    assert (counts.rows, counts.nulls, counts.levels) == (0, {"a": 0, "b": 0}, {"b": {}})


def test_keys_are_printed_alike_whatever_the_role_has_set(place: Place) -> None:
    place.sql(
        "ALTER ROLE fleet_owner SET datestyle = 'German, DMY'; "
        "ALTER ROLE fleet_owner SET timezone = 'Asia/Tokyo'; "
        "ALTER ROLE fleet_owner SET extra_float_digits = -3", as_superuser=True
    )  # fmt: skip
    try:
        histogram = histogram_of(place, "VALUES ('2013-02-01 00:00:00+00')", chunk_rows=10, key="timestamptz")
        assert histogram.bins[0].first == "2013-02-01 00:00:00+00"
    finally:
        place.sql("ALTER ROLE fleet_owner RESET ALL", as_superuser=True)


@BOTH
def test_a_table_that_is_dropped_meanwhile_has_changed(place: Place) -> None:
    place.seed("CREATE TABLE t (key int)")
    source = place.rows_of("t")
    place.seed("DROP TABLE t")
    with pytest.raises(Refused, match="changed while counting the keys") as refusal:
        place.warehouse.keys.histogram(source, "key", chunk_rows=10)
    assert isinstance(refusal.value.__cause__, psycopg2.Error)
