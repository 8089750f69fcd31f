"""How auto decides, and how large unloaded files are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet.files.row_groups import GroupedFile, parts_of
from skfleet.files.slicing import slices
from skfleet.read_modes import FEW_SCORERS, SMALL_ROWS, ReadMode, choose_reading
from skfleet_common.aws.user_files import ObjectUrl
from skfleet_common.aws.user_objects import UserObject
from skfleet_common.contracts.slices import ObjectSlice, RowGroups
from skfleet_common.tables.unload_sizes import MOST_FILE_MEGABYTES, UnloadSizes

MANY_ROWS, MANY_SCORERS = SMALL_ROWS + 1, FEW_SCORERS + 1


@pytest.mark.parametrize(
    ("rows", "is_sorted_by_key", "scorers", "has_role", "mode", "why"),
    [
        (SMALL_ROWS, False, 1_000, True, ReadMode.SELECT, "about 1,000,000 rows are few"),
        (MANY_ROWS, True, FEW_SCORERS, True, ReadMode.SELECT, "8 scoring processes are few"),
        (MANY_ROWS, True, MANY_SCORERS, True, ReadMode.UNLOAD, "9 scoring processes would wait"),
        (MANY_ROWS, False, 1, True, ReadMode.UNLOAD, "the split column is not the sort key"),
        (None, False, 1, True, ReadMode.UNLOAD, "the split column is not the sort key"),
        (None, None, 1, True, ReadMode.UNLOAD, "no sort key is known of a view"),
        (0, False, 1_000, True, ReadMode.SELECT, "about 0 rows are few"),
        (MANY_ROWS, False, MANY_SCORERS, False, ReadMode.SELECT, "SKFLEET_REDSHIFT_IAM_ROLE is not set"),
    ],
)
def test_auto_decides_from_rows_sort_key_and_fleet_and_says_why(
    *, rows: int | None, is_sorted_by_key: bool | None, scorers: int, has_role: bool, mode: ReadMode, why: str
) -> None:
    found = choose_reading(rows=rows, is_sorted_by_key=is_sorted_by_key, scorers=scorers, has_role=has_role)
    assert found.mode is mode
    assert why in found.why
    (note,) = found.notes
    assert "\n" not in note


@given(chunk_rows=st.integers(1, 10**12), row_bytes=st.integers(0, 10**6))
def test_sizes_are_ones_that_unload_takes(chunk_rows: int, row_bytes: int) -> None:
    sizes = UnloadSizes.of(chunk_rows, row_bytes=row_bytes)
    assert 32 <= sizes.group_megabytes <= 128
    assert sizes.group_megabytes <= sizes.file_megabytes <= MOST_FILE_MEGABYTES
    assert sizes.group_megabytes % 32 == sizes.file_megabytes % 32 == 0
    assert sizes.group_rows >= 1


@given(
    files=st.lists(st.lists(st.integers(1, 5_000), max_size=8), max_size=12),
    chunk_rows=st.integers(1, 10_000),
)
def test_chunks_cover_every_row_group_once_and_none_is_divided(
    files: list[list[int]], chunk_rows: int
) -> None:
    grouped = [
        GroupedFile(UserObject(ObjectUrl("b", f"u/{number:04d}.parquet"), 1, f'"{number}"'), tuple(groups))
        for number, groups in enumerate(files)
    ]
    plan = slices(parts_of(grouped, chunk_rows=chunk_rows), chunk_rows=chunk_rows)
    assert plan.rows == sum(map(sum, files))
    assert plan.rows_are_exact
    covered: list[tuple[str, int]] = []
    for chunk in plan.chunks:
        assert isinstance(chunk.range, ObjectSlice)
        groups = 0
        for part in chunk.range.parts:
            assert isinstance(part.span, RowGroups)
            number = int(part.uri.rpartition("/")[2].removesuffix(".parquet"))
            assert part.span.rows_before == sum(files[number][: part.span.first])
            covered += [(part.uri, group) for group in range(part.span.first, part.span.stop)]
            groups += part.span.stop - part.span.first
        assert chunk.rows <= chunk_rows or groups == 1
    assert covered == [(str(file.found), group) for file in grouped for group in range(len(file.groups))]
