"""What the layout of a source means for reading it range by range."""

from __future__ import annotations

import pytest

from skfleet.layout import check_layout
from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.port import Layout

TABLE = TableName(schema_name="public", name="flights")


def notes(layout: Layout | None, *, split: str = "id", chunks: int = 8) -> str:
    return " ".join(check_layout(layout, table=TABLE, split=split, chunks=chunks))


@pytest.mark.parametrize(
    "layout",
    [None, Layout(sort_key=("id",)), Layout(sort_key=("id", "day"), rows=5, unsorted=19.0, stats_off=9.9)],
)
def test_a_table_sorted_by_its_split_column_has_no_note(layout: Layout | None) -> None:
    assert notes(layout) == ""


def test_one_chunk_reads_all_of_it_however_it_is_sorted() -> None:
    assert notes(Layout(sort_key=(), unsorted=90.0), chunks=1) == ""


def test_another_sort_key_is_named_as_the_better_split_column() -> None:
    said = notes(Layout(sort_key=("day", "id")))
    assert "public.flights is sorted by day, not by id, so that each of the 8 chunks" in said
    assert "--split-column day" in said


def test_a_table_without_a_sort_key_is_scanned_by_every_chunk() -> None:
    assert "has no sort key, so that each of the 8 chunks scans all of it" in notes(Layout(sort_key=()))


def test_a_table_that_is_not_sorted_yet_and_old_statistics_are_named_with_their_remedies() -> None:
    said = notes(Layout(sort_key=("id",), unsorted=80.2, stats_off=55.0))
    assert "80 % of public.flights is not sorted" in said
    assert "VACUUM SORT ONLY public.flights" in said
    assert "statistics of public.flights are 55 % off" in said
    assert "ANALYZE public.flights" in said
