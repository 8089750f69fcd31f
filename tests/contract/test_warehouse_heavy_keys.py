"""Keys too heavy for a chunk are cut by the hash of what tells their rows apart, and no row is lost."""

from __future__ import annotations

import statistics

import pytest
from tests.contract.warehouse_place import BOTH, Place

from skfleet.plan import plan_chunks
from skfleet_common.contracts.chunks import ChunkPlan, IdRange
from skfleet_common.tables.port import RowSample, Selection

ROWS = 6_000

#: Split keys of rows g = 1 … 6,000, few of them for most of the rows: type, expression.
HEAVY = {
    "one key": ("int", "7"),
    "half the rows": ("int", "CASE WHEN g % 2 = 0 THEN 5000 ELSE g END"),
    "NULL in most": ("int", "CASE WHEN g % 5 = 0 THEN g END"),
    "all NULL": ("int", "NULL::int"),
    "zipf": ("bigint", "(6000 / (1 + (g * 7919) % 6000))::bigint"),
    "texts with quotes": ("varchar(20)", "'it''s ' || chr(92) || (g * g) % 3"),
    "padded texts": ("char(6)", "chr(65 + g % 2)"),
    "reals": ("real", "0.1 * (g % 2)"),
    "days": ("date", "date '2024-01-01' + least(g % 100, 3)"),
}


def fill(place: Place, kind: str) -> tuple[Selection, str]:
    spelled, expression = HEAVY[kind]
    place.seed(
        f"CREATE TABLE t (id bigint, key {spelled}); "
        f"INSERT INTO t SELECT g, {expression} FROM generate_series(1, {ROWS}) g"
    )
    source = place.rows_of("t")
    column = source.table.column("key")
    assert column is not None
    return source, column.warehouse_type


def planned(place: Place, source: Selection, chunk_rows: int, *, by: tuple[str, ...] = ("id",)) -> ChunkPlan:
    keys = place.warehouse.keys
    histogram = keys.histogram(source, "key", chunk_rows=chunk_rows, hash_columns=by)
    return plan_chunks(histogram, chunk_rows=chunk_rows)


def ids_in(place: Place, source: Selection, split_type: str, within: IdRange) -> list[int]:
    batches = place.warehouse.reader.read(
        source, features=["id"], split_column="key", split_type=split_type, within=within
    )
    return [number for batch in batches for number in batch.features["id"].to_pylist()]


@BOTH
@pytest.mark.parametrize("chunk_rows", [400, 800])
@pytest.mark.parametrize("kind", HEAVY)
def test_chunks_of_heavy_keys_are_nearly_equal_and_hold_every_row_once(
    place: Place, kind: str, chunk_rows: int
) -> None:
    source, split_type = fill(place, kind)
    plan = planned(place, source, chunk_rows)
    seen: list[int] = []
    for chunk in plan.chunks:
        ids = ids_in(place, source, split_type, chunk.id_range)
        assert len(ids) == chunk.rows
        seen += ids
    assert sorted(seen) == list(range(1, ROWS + 1))
    sizes = [chunk.rows for chunk in plan.chunks]
    assert max(sizes) / statistics.mean(sizes) <= 1.2


@BOTH
def test_rows_are_told_apart_by_booleans_too(place: Place) -> None:
    place.seed(
        "CREATE TABLE t (flag boolean, id bigint, key int); "
        f"INSERT INTO t SELECT nullif(g % 3, 2) = 1, g, 7 FROM generate_series(1, {ROWS}) g"
    )
    source = place.rows_of("t")
    plan = planned(place, source, 1_000, by=("flag", "id"))
    assert len(plan.chunks) > 5
    seen = [number for chunk in plan.chunks for number in ids_in(place, source, "integer", chunk.id_range)]
    assert sorted(seen) == list(range(1, ROWS + 1))
    sampled = Selection(source.table, sample=RowSample(rows=50, seed=1, id_columns=("flag", "id")))
    drawn = list(place.warehouse.reader.read(sampled, features=["id"]))
    assert sum(batch.features.num_rows for batch in drawn) == 50


@BOTH
def test_without_another_column_a_heavy_key_stays_whole(place: Place) -> None:
    source, _ = fill(place, "one key")
    plan = planned(place, source, 1_000, by=())
    assert [(chunk.rows, chunk.id_range.hash_columns) for chunk in plan.chunks] == [(ROWS, ())]
    assert plan.schema_version == 1


@BOTH
def test_a_plan_that_cuts_a_key_is_of_a_version_that_older_workers_leave_alone(place: Place) -> None:
    source, _ = fill(place, "one key")
    plan = planned(place, source, 1_000)
    assert plan.schema_version == 2
    assert {chunk.id_range.hash_columns for chunk in plan.chunks} == {("id",)}


@BOTH
def test_rows_are_told_apart_by_several_columns_of_which_some_are_null(place: Place) -> None:
    place.seed(
        "CREATE TABLE t (key int, id int, a varchar(9), b int); INSERT INTO t "
        f"SELECT 1, g, 'a', CASE WHEN g % 3 > 0 THEN g END FROM generate_series(1, {ROWS}) g"
    )
    source = place.rows_of("t")
    plan = planned(place, source, 1_000, by=("a", "b"))
    assert plan.rows == ROWS
    for chunk in plan.chunks:
        assert len(ids_in(place, source, "integer", chunk.id_range)) == chunk.rows
