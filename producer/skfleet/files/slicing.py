"""Slicing: parts of files are gathered into chunks, none of which outgrows its message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from skfleet_common.contracts.chunks import MAX_CHUNKS, Chunk, ChunkPlan
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.messages import MAX_MESSAGE_BYTES
from skfleet_common.contracts.slices import ByteRange, ObjectPart, ObjectSlice

#: What a message holds beside its parts, at most: numbers, counts and the job's name.
_FRAME_BYTES = 640


@dataclass(frozen=True)
class PlannedPart:
    """A part of a file, and the rows that it has, or about so many."""

    part: ObjectPart
    rows: int

    @property
    def is_alone(self) -> bool:
        """Whether it makes a slice by itself, so that the rows before it in its file can be counted."""
        part = self.part
        return isinstance(part.span, ByteRange) and (part.span.first > 0 or part.span.stop < part.size_bytes)

    @property
    def message_bytes(self) -> int:
        """What it takes of a message, in ASCII."""
        return len(self.part.model_dump_json(ensure_ascii=True)) + 1


def slices(parts: Iterable[PlannedPart], *, chunk_rows: int) -> ChunkPlan:
    """Give the chunks: parts in their order, gathered while they are below ``chunk_rows`` and fit a message.

    Raises:
        Refused: a file's name alone outgrows a message, or there are too many chunks.
    """
    chunks = [
        Chunk(
            number=number,
            range=ObjectSlice(parts=tuple(it.part for it in group)),
            rows=sum(it.rows for it in group),
        )
        for number, group in enumerate(_groups(parts, chunk_rows))
    ]
    return ChunkPlan(chunks=tuple(chunks))


def slice_bytes(plan: ChunkPlan) -> tuple[int, ...]:
    """Give the bytes of each chunk of text files as they are stored; nothing of other chunks."""
    return tuple(
        sum(part.span.stop - part.span.first for part in chunk.range.parts)
        for chunk in plan.chunks
        if isinstance(chunk.range, ObjectSlice)
        and all(isinstance(part.span, ByteRange) for part in chunk.range.parts)
    )


def _groups(parts: Iterable[PlannedPart], chunk_rows: int) -> Iterator[list[PlannedPart]]:
    group: list[PlannedPart] = []
    rows = size = count = 0
    for it in parts:
        added = it.message_bytes
        if added > MAX_MESSAGE_BYTES - _FRAME_BYTES:
            raise Refused(f"The name of {it.part.uri[:200]}… is too long for a message; give it another key.")
        is_full = rows + it.rows > chunk_rows or size + added > MAX_MESSAGE_BYTES - _FRAME_BYTES
        if group and (is_full or it.is_alone or group[-1].is_alone):
            yield group
            count += 1
            group, rows, size = [], 0, 0
        if count >= MAX_CHUNKS:
            raise Refused(f"These files make more than {MAX_CHUNKS:,} chunks; ask for larger --chunk-rows.")
        group.append(it)
        rows += it.rows
        size += added
    if group:
        yield group
