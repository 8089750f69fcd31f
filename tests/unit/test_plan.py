"""The plan: every key in exactly one chunk, chunks as equal as the bins allow."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet.plan import plan_chunks
from skfleet_common.contracts.chunks import IdRange
from skfleet_common.tables.port import KeyBin, KeyHistogram, NullBin
from skfleet_common.tables.sql.bins import HASHES, cut_apart, heavy_in, joined


@st.composite
def histograms(draw: st.DrawFn) -> KeyHistogram:
    """Bins over growing integers, with gaps between them, of widths 1 to 9."""
    key, bins = draw(st.integers(-50, 50)), []
    for _ in range(draw(st.integers(0, 60))):
        first = key + draw(st.integers(0, 5))
        last = first + draw(st.integers(0, 8))
        bins.append(KeyBin(first=str(first), last=str(last), rows=draw(st.integers(1, 400))))
        key = last + 1
    return KeyHistogram(bins=tuple(bins), null_rows=draw(st.integers(0, 500)))


def lies_in(key: int, within: IdRange) -> bool:
    if within.nulls:
        return False
    assert within.first is not None
    assert within.stop is not None
    stop = int(within.stop)
    return int(within.first) <= key and (key <= stop if within.stop_included else key < stop)


@given(histograms(), st.integers(1, 3_000))
def test_a_plan_covers_every_key_exactly_once(histogram: KeyHistogram, chunk_rows: int) -> None:
    plan = plan_chunks(histogram, chunk_rows=chunk_rows)
    for part in histogram.bins:
        for key in range(int(part.first), int(part.last) + 1):
            assert sum(lies_in(key, chunk.range) for chunk in plan.chunks) == 1


@given(histograms(), st.integers(1, 3_000))
def test_each_chunk_has_the_rows_of_its_bins_and_no_bin_is_divided(
    histogram: KeyHistogram, chunk_rows: int
) -> None:
    plan = plan_chunks(histogram, chunk_rows=chunk_rows)
    assert plan.rows == histogram.rows
    for chunk in plan.chunks:
        inside = [part for part in histogram.bins if lies_in(int(part.first), chunk.range)]
        assert all(lies_in(int(part.last), chunk.range) for part in inside)
        assert chunk.rows == (histogram.null_rows if chunk.range.nulls else sum(p.rows for p in inside))
        assert chunk.rows > 0


@given(histograms(), st.integers(1, 3_000))
def test_ranges_are_half_open_in_order_and_end_at_the_largest_key(
    histogram: KeyHistogram, chunk_rows: int
) -> None:
    plan = plan_chunks(histogram, chunk_rows=chunk_rows)
    assert [chunk.number for chunk in plan.chunks] == list(range(len(plan.chunks)))
    ranges = [chunk.range for chunk in plan.chunks if not chunk.range.nulls]
    assert all(left.stop == right.first and not left.stop_included for left, right in pairwise(ranges))
    if ranges:
        assert ranges[0].first == histogram.bins[0].first
        assert ranges[-1] == ranges[-1].model_copy(
            update={"stop": histogram.bins[-1].last, "stop_included": True}
        )


@given(histograms(), st.integers(1, 3_000))
def test_rows_without_a_key_are_the_last_chunk(histogram: KeyHistogram, chunk_rows: int) -> None:
    chunks = plan_chunks(histogram, chunk_rows=chunk_rows).chunks
    assert [chunk.number for chunk in chunks if chunk.range.nulls] == (
        [len(chunks) - 1] if histogram.null_rows else []
    )


@given(histograms(), st.integers(1, 3_000))
def test_a_chunk_is_off_its_equal_share_by_a_bin_at_most(histogram: KeyHistogram, chunk_rows: int) -> None:
    plan = plan_chunks(histogram, chunk_rows=chunk_rows)
    rows = histogram.rows - histogram.null_rows
    if not rows:
        return
    share = rows / -(-rows // chunk_rows)
    heaviest = max(part.rows for part in histogram.bins)
    assert all(chunk.rows <= share + heaviest for chunk in plan.chunks if not chunk.range.nulls)


@given(st.integers(1, 500), st.integers(1, 60))
def test_single_row_bins_give_exactly_as_many_chunks_as_are_needed(rows: int, chunk_rows: int) -> None:
    bins = tuple(KeyBin(first=str(key), last=str(key), rows=1) for key in range(rows))
    plan = plan_chunks(KeyHistogram(bins=bins, null_rows=0), chunk_rows=chunk_rows)
    sizes = [chunk.rows for chunk in plan.chunks]
    assert len(sizes) == -(-rows // chunk_rows)
    assert max(sizes) - min(sizes) <= 1


def test_a_key_heavier_than_a_chunk_stays_in_one_chunk() -> None:
    bins = (KeyBin("1", "5", 10), KeyBin("6", "6", 5_000), KeyBin("7", "9", 10))
    plan = plan_chunks(KeyHistogram(bins=bins, null_rows=0), chunk_rows=100)
    assert [chunk.rows for chunk in plan.chunks] == [10, 5_000, 10]


def test_a_table_without_rows_has_no_chunks() -> None:
    assert plan_chunks(KeyHistogram(bins=(), null_rows=0), chunk_rows=10).chunks == ()


def test_a_table_without_keys_is_one_chunk() -> None:
    plan = plan_chunks(KeyHistogram(bins=(), null_rows=7), chunk_rows=2)
    assert [(chunk.range.nulls, chunk.rows) for chunk in plan.chunks] == [(True, 7)]


def test_a_chunk_of_no_rows_is_no_chunk() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        plan_chunks(KeyHistogram(bins=(), null_rows=7), chunk_rows=0)


def hashed_rows(draw_rows: dict[int, int]) -> list[tuple[int, int]]:
    """Give the rows of some keys as (key, hash), the hashes being spread evenly."""
    return [(key, (number * HASHES) // rows) for key, rows in draw_rows.items() for number in range(rows)]


def holds(within: IdRange, key: int, hashed: int) -> bool:
    """Whether a row lies in a range, as a reader asks it."""
    assert within.first is not None
    assert within.stop is not None
    first, stop = int(within.first), int(within.stop)
    after_first = key > first or (key == first and hashed >= within.first_hash)
    before_stop = key < stop or (key == stop and (within.stop_included or hashed < within.stop_hash))
    return after_first and before_stop


@given(
    st.dictionaries(st.integers(0, 40), st.integers(1, 900), min_size=1, max_size=12), st.integers(20, 400)
)
def test_rows_of_heavy_keys_are_each_in_exactly_one_chunk_of_nearly_equal_ones(
    rows_by_key: dict[int, int], chunk_rows: int
) -> None:
    counted = [(str(key), rows_by_key[key]) for key in sorted(rows_by_key)]
    step = max(1, chunk_rows // 8)
    whole = joined(counted, limit=step)
    heavy = heavy_in(whole, limit=step)
    rows = hashed_rows(rows_by_key)
    parts = Counter(
        (one.key, 1 + hashed * one.parts // HASHES)
        for one in heavy
        for key, hashed in rows
        if str(key) == one.key
    )
    cut = cut_apart(whole, heavy, [(key, part, n) for (key, part), n in parts.items()], ["id"])
    assert cut.rows == len(rows)
    plan = plan_chunks(cut, chunk_rows=chunk_rows)
    for chunk in plan.chunks:
        assert chunk.rows == sum(holds(chunk.id_range, key, hashed) for key, hashed in rows)
    assert plan.rows == len(rows)
    assert max(chunk.rows for chunk in plan.chunks) <= len(rows) / len(plan.chunks) + 2 * (2 * step + 1)


def test_many_rows_without_a_key_are_several_chunks_by_their_hashes() -> None:
    nulls = tuple(NullBin(first_hash=part * HASHES // 8, rows=10) for part in range(8))
    plan = plan_chunks(
        KeyHistogram(bins=(), null_rows=80, null_bins=nulls, hash_columns=("id",)), chunk_rows=40
    )
    assert [(chunk.rows, chunk.id_range.first_hash, chunk.id_range.stop_hash) for chunk in plan.chunks] == [
        (40, 0, HASHES // 2),
        (40, HASHES // 2, 0),
    ]
    assert all(chunk.id_range.nulls for chunk in plan.chunks)
