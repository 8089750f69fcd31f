"""The plan: counted bins of keys in, chunks of nearly equal size out. Pure arithmetic."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise

from skfleet_common.contracts.chunks import Chunk, ChunkPlan, IdRange
from skfleet_common.tables.port import KeyBin, KeyHistogram, NullBin


def plan_chunks(histogram: KeyHistogram, *, chunk_rows: int) -> ChunkPlan:
    """Give as few chunks as ``chunk_rows`` allows, as equal as the bins allow.

    A bin is never divided, so a single key that is heavier than a chunk stays in one if it has one bin.
    Ranges are half-open; the last one ends at the largest key, which it includes. Rows without a key are
    chunks of their own, the last. A table without rows has no chunks.
    """
    if chunk_rows < 1:
        raise ValueError("a chunk has at least one row")
    null_bins = histogram.null_bins or ((NullBin(0, histogram.null_rows),) if histogram.null_rows else ())
    ranges = [
        (_range(histogram, first, stop), rows) for first, stop, rows in _merge(histogram.bins, chunk_rows)
    ] + [
        (_null_range(null_bins, first, stop, histogram.hash_columns), rows)
        for first, stop, rows in _merge(null_bins, chunk_rows)
    ]
    chunks = [Chunk(number=number, range=within, rows=rows) for number, (within, rows) in enumerate(ranges)]
    return ChunkPlan(chunks=tuple(chunks))


def _merge(bins: Sequence[KeyBin | NullBin], chunk_rows: int) -> list[tuple[int, int, int]]:
    """Give (first bin, bin after the last, rows) of each chunk: cut where equal shares would end."""
    upto = [0, *accumulate(part.rows for part in bins)]
    total = upto[-1]
    pieces = -(-total // chunk_rows)
    inner = {_nearest(upto, total * piece / pieces) for piece in range(1, pieces)}
    cuts = sorted(inner | {0, len(bins)})
    return [(first, stop, upto[stop] - upto[first]) for first, stop in pairwise(cuts)]


def _nearest(upto: Sequence[int], wanted: float) -> int:
    """Give the bin edge whose running count is nearest to ``wanted``."""
    after = bisect_left(upto, wanted)
    return after if upto[after] - wanted <= wanted - upto[after - 1] else after - 1


def _range(histogram: KeyHistogram, first: int, stop: int) -> IdRange:
    bins = histogram.bins
    begin, is_last = bins[first], stop == len(bins)
    stop_hash = 0 if is_last else bins[stop].first_hash
    return IdRange(
        first=begin.first,
        stop=bins[-1].last if is_last else bins[stop].first,
        stop_included=is_last,
        hash_columns=histogram.hash_columns if begin.first_hash or stop_hash else (),
        first_hash=begin.first_hash,
        stop_hash=stop_hash,
    )


def _null_range(bins: Sequence[NullBin], first: int, stop: int, hash_columns: tuple[str, ...]) -> IdRange:
    first_hash, stop_hash = bins[first].first_hash, bins[stop].first_hash if stop < len(bins) else 0
    return IdRange(
        nulls=True,
        hash_columns=hash_columns if first_hash or stop_hash else (),
        first_hash=first_hash,
        stop_hash=stop_hash,
    )
