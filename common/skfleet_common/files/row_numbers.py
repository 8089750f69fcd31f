"""Row numbers of cut files: workers count from their slices' beginnings, and all are known in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.chunks import Chunk
from skfleet_common.contracts.file_sources import FilesSource
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


@dataclass(frozen=True)
class SliceNumbers:
    """The numbers of a job's rejected rows in their files, as far as the slices before theirs are counted."""

    #: What the column of row numbers is called; empty where rows have ids of their own.
    column: str = ""
    before: Mapping[int, int] = field(default_factory=dict)
    #: The bytes that chunks begin with, but for those at the beginning of a file.
    first_bytes: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, files: FilesSource | None, chunks: Sequence[Chunk], commits: Sequence[Commit]
    ) -> SliceNumbers:
        """Count the rows before each chunk."""
        if files is None or not files.row_column:
            return cls()
        parts = {chunk.number: part for chunk in chunks if (part := cut_part(chunk)) is not None}
        first_bytes = {number: first for number, (_, first) in parts.items() if first}
        return cls(files.row_column, rows_before(chunks, commits), first_bytes)

    def of_rejects(self, chunk: int, rejects: pa.Table) -> pa.Table:
        """Give a chunk's rejected rows with their numbers; where nobody knows these, with the slice's."""
        if not self.column or chunk not in self.first_bytes:
            return rejects
        position = rejects.schema.get_field_index(self.column)
        before, first = self.before.get(chunk), self.first_bytes[chunk]
        numbers = [
            f"{number} from byte {first} on" if before is None else str(int(number) + before)
            for number in rejects.column(position).to_pylist()
        ]
        return rejects.set_column(position, self.column, pa.array(numbers, pa.string()))


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
