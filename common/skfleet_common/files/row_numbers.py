"""Row numbers of cut files: workers count from their slices' beginnings, and all are known in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.chunks import Chunk
from skfleet_common.contracts.jobs import Commit, CommitOutcome
from skfleet_common.contracts.slices import ByteRange, ObjectSlice


def rows_before(chunks: Iterable[Chunk], commits: Iterable[Commit]) -> dict[int, int]:
    """Give, for each chunk that begins within a text file, the rows of that file before it.

    Chunks before which one is not done are left out: nobody knows then.
    """
    read = {it.chunk: it.rows_read for it in commits if it.outcome is CommitOutcome.DONE}
    upto: defaultdict[str, int | None] = defaultdict(int)
    found: dict[int, int] = {}
    for chunk in chunks:
        part = cut_part(chunk)
        if part is None:
            continue
        before = upto[part[0]]
        if part[1] > 0 and before is not None:
            found[chunk.number] = before
        here = read.get(chunk.number)
        upto[part[0]] = None if before is None or here is None else before + here
    return found


def renumbered(rows: pa.RecordBatch, column: str, before: int) -> pa.RecordBatch:
    """Give rows, numbered from their slice's beginning, with their numbers in the file."""
    if not before:
        return rows
    position = rows.schema.get_field_index(column)
    numbers = pc.add(rows.column(position).cast(pa.int64()), before).cast(pa.string())
    return rows.set_column(position, rows.schema.field(position), numbers)


def cut_part(chunk: Chunk) -> tuple[str, int] | None:
    """Give file and first byte of a chunk that is one part of a text file."""
    if not isinstance(chunk.range, ObjectSlice) or len(chunk.range.parts) > 1:
        return None
    part = chunk.range.parts[0]
    return (part.uri, part.span.first) if isinstance(part.span, ByteRange) else None
