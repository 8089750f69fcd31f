"""The plan: counted bins of keys in, chunks of nearly equal size out. Pure arithmetic."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise

from skfleet_common.contracts.chunks import Chunk, ChunkPlan, IdRange
from skfleet_common.tables.port import KeyBin, KeyHistogram


def plan_chunks(histogram: KeyHistogram, *, chunk_rows: int) -> ChunkPlan:
    """Give as few chunks as ``chunk_rows`` allows, as equal as the bins allow.

    A bin is never divided, so a single key that is heavier than a chunk stays in one. Ranges are
    half-open; the last one ends at the largest key, which it includes. Rows without a key are one
    chunk of their own, the last. A table without rows has no chunks.
    """
    if chunk_rows < 1:
        raise ValueError("a chunk has at least one row")
    chunks = [
        Chunk(number=number, range=_range(histogram.bins, first, stop), rows=rows)
        for number, (first, stop, rows) in enumerate(_merge(histogram.bins, chunk_rows))
    ]
    if histogram.null_rows:
        chunks.append(Chunk(number=len(chunks), range=IdRange(nulls=True), rows=histogram.null_rows))
    return ChunkPlan(chunks=tuple(chunks))


def _merge(bins: Sequence[KeyBin], chunk_rows: int) -> list[tuple[int, int, int]]:
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


def _range(bins: Sequence[KeyBin], first: int, stop: int) -> IdRange:
    if stop == len(bins):
        return IdRange(first=bins[first].first, stop=bins[-1].last, stop_included=True)
    return IdRange(first=bins[first].first, stop=bins[stop].first)
