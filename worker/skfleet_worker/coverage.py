"""Coverage: the slices of a plan are held against the files that they are cut from."""

from __future__ import annotations

from collections.abc import Iterator

from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.file_sources import FileFormat, FilesSource
from skfleet_common.contracts.slices import ByteRange, ObjectPart, ObjectSlice, RowGroups


def check_coverage(files: FilesSource, plan: ChunkPlan) -> int:
    """Check that the slices are every byte of the files, each once; gives the bytes of text files.

    Row groups of which a condition lets no row through may be missing, but none may be there twice.

    Raises:
        JobFailed: somebody altered the plan.
    """
    upto: dict[str, int] = {}
    sizes: dict[str, int] = {}
    text_bytes = 0
    for part in _parts(plan):
        expected = upto.get(part.uri, 0)
        if isinstance(part.span, RowGroups) and part.span.is_filtered:
            expected = max(expected, part.span.first)
        if part.span.first != expected or part.span.stop < part.span.first:
            raise _torn(part)
        upto[part.uri] = part.span.stop
        if isinstance(part.span, ByteRange):
            sizes[part.uri] = part.size_bytes
            text_bytes += part.span.stop - part.span.first
    for part in _parts(plan):
        if isinstance(part.span, ByteRange) and upto[part.uri] != sizes[part.uri]:
            raise _torn(part)
    if files.format is FileFormat.CSV and text_bytes != files.size_bytes:
        raise JobFailed(
            f"The plan's slices have {text_bytes:,} bytes and the files {files.size_bytes:,}; submit the job "
            "again."
        )
    return text_bytes


def _parts(plan: ChunkPlan) -> Iterator[ObjectPart]:
    for chunk in plan.chunks:
        if isinstance(chunk.range, ObjectSlice):
            yield from chunk.range.parts


def _torn(part: ObjectPart) -> JobFailed:
    return JobFailed(f"The plan does not have every part of {part.uri} once; submit the job again.")
