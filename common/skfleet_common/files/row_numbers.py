"""Row numbers of cut files: workers count from their slices' beginnings, and all are known in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.chunks import Chunk
from skfleet_common.contracts.jobs import Commit
from skfleet_common.contracts.slices import ByteRange, ObjectSlice


def rows_before(chunks: Iterable[Chunk], commits: Iterable[Commit]) -> dict[int, int]:
    """Give, for each chunk that begins within a text file, the rows of that file before it.

    ``commits`` are those of all chunks up to the last one asked for, in the plan's order.
    """
    upto: defaultdict[str, int] = defaultdict(int)
    found: dict[int, int] = {}
    for chunk, commit in zip(chunks, commits, strict=False):
        part = _cut_part(chunk)
        if part is None:
            continue
        if part[1] > 0:
            found[chunk.number] = upto[part[0]]
        upto[part[0]] += commit.rows_read
    return found


def renumbered(rows: pa.RecordBatch, column: str, before: int) -> pa.RecordBatch:
    """Give rows, numbered from their slice's beginning, with their numbers in the file."""
    if not before:
        return rows
    position = rows.schema.get_field_index(column)
    numbers = pc.add(rows.column(position).cast(pa.int64()), before).cast(pa.string())
    return rows.set_column(position, rows.schema.field(position), numbers)


def _cut_part(chunk: Chunk) -> tuple[str, int] | None:
    """Give file and first byte of a chunk that is one part of a text file."""
    if not isinstance(chunk.range, ObjectSlice) or len(chunk.range.parts) > 1:
        return None
    part = chunk.range.parts[0]
    return (part.uri, part.span.first) if isinstance(part.span, ByteRange) else None
