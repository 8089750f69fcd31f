"""Careful reading of rows that no key tells apart: the row at fault stands alone, whatever the chunk is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.contract.samples import CREATED
from tests.contract.warehouse_place import BOTH, Place

from skfleet.plan import plan_chunks
from skfleet_common.contracts.chunks import Chunk, IdRange
from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.errors import UnreadableValue
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.tables.port import Selection
from skfleet_worker.careful import CarefulReader

ROWS = 160
AT_FAULT = {60, 117}

#: Keys of rows g = 1 … 160: type, expression.
KEYS = {
    "one key": ("int", "7"),
    "half the rows": ("int", "CASE WHEN g % 2 = 0 THEN 150 ELSE g END"),
    "NULL in most": ("int", "CASE WHEN g % 5 = 0 THEN g END"),
    "equal texts, spelled differently": ("char(6)", "rpad('a', 1 + g % 3)"),
}


def divided(place: Place, kind: str) -> SourceTable:
    """Make a view that cannot be read where a row is at fault."""
    spelled, expression = KEYS[kind]
    place.seed(
        f"CREATE TABLE t (id int, key {spelled}); "
        f"INSERT INTO t SELECT g, {expression} FROM generate_series(1, {ROWS}) g"
    )
    place.sql(
        f"CREATE VIEW divided AS SELECT id, key, 1 / ((id - 60) * (id - 117)) AS x FROM {place.schema}.t"
    )
    return place.table("divided")


def read(
    place: Place, table: SourceTable, chunk: Chunk, id_columns: Sequence[str]
) -> tuple[list[int], set[int]]:
    """Give the ids of all rows, and of those that could not be read."""
    column = table.column("key")
    assert column is not None
    spec = JobSpec(
        job="job-1", fleet="f", model="m", digest="5f" * 32, table=table.name, id_columns=tuple(id_columns),
        split_column="key", split_type=column.warehouse_type, output_table=table.name, output_columns=(),
        created_at=CREATED, rows=ROWS, chunks=1,
    )  # fmt: skip
    careful = CarefulReader(
        place.warehouse.reader, spec, table, features=["x"], verbatim=["id"], batch_rows=1_000
    )
    ids, at_fault = [], set()
    for batch in careful.read_carefully(chunk.id_range):
        if batch is not None:
            here = [int(text) for text in batch.verbatim["id"].to_pylist()]
            ids += here
            at_fault |= {here[row] for row in batch.unreadable}
    return ids, at_fault


@BOTH
@pytest.mark.parametrize("kind", KEYS)
def test_of_a_share_of_a_heavy_key_only_the_rows_at_fault_are_set_aside(place: Place, kind: str) -> None:
    table = divided(place, kind)
    keys = place.warehouse.keys
    histogram = keys.histogram(Selection(table), "key", chunk_rows=40, hash_columns=["id"])
    chunks = plan_chunks(histogram, chunk_rows=40).chunks
    assert any(chunk.id_range.hash_columns for chunk in chunks)
    ids, at_fault = [], set()
    for chunk in chunks:
        here, unreadable = read(place, table, chunk, ["key", "id"])
        assert len(here) == chunk.rows
        ids += here
        at_fault |= unreadable
    assert sorted(ids) == list(range(1, ROWS + 1))
    assert at_fault == AT_FAULT


@BOTH
@pytest.mark.parametrize("kind", ["one key", "NULL in most"])
def test_a_key_that_was_not_cut_by_the_plan_is_cut_for_its_rows_at_fault(place: Place, kind: str) -> None:
    table = divided(place, kind)
    has_key = kind == "one key"
    ids, at_fault = read(place, table, Chunk(number=0, range=IdRange(nulls=not has_key), rows=ROWS), ["id"])
    assert sorted(ids) == [number for number in range(1, ROWS + 1) if has_key or number % 5]
    assert at_fault == AT_FAULT.intersection(ids)


@BOTH
def test_rows_that_nothing_tells_apart_fail_their_chunk(place: Place) -> None:
    table = divided(place, "one key")
    with pytest.raises(UnreadableValue, match="division by zero"):
        read(place, table, Chunk(number=0, range=IdRange(), rows=ROWS), ["key"])
