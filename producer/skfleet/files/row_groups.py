"""Row groups: the parts of Parquet files that chunks are made of; none is divided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from skfleet.files.slicing import PlannedPart
from skfleet_common.aws.user_objects import UserObject
from skfleet_common.contracts.slices import ObjectPart, RowGroups


@dataclass(frozen=True)
class GroupedFile:
    """A Parquet file, and the rows of each of its row groups."""

    found: UserObject
    groups: tuple[int, ...]

    @property
    def rows(self) -> int:
        """All its rows."""
        return sum(self.groups)

    def part(self, first: int, stop: int, *, rows_before: int = 0) -> ObjectPart:
        """Give the row groups ``[first, stop)``."""
        return ObjectPart(
            uri=str(self.found),
            etag=self.found.etag,
            size_bytes=self.found.size_bytes,
            span=RowGroups(first=first, stop=stop, rows_before=rows_before),
        )


def parts_of(files: Iterable[GroupedFile], *, chunk_rows: int) -> Iterator[PlannedPart]:
    """Cut each file into runs of row groups of at most ``chunk_rows``, but for groups that have more."""
    for file in files:
        first = before = rows = 0
        for group, count in enumerate(file.groups):
            if group > first and rows + count > chunk_rows:
                yield PlannedPart(file.part(first, group, rows_before=before), rows)
                first, before, rows = group, before + rows, 0
            rows += count
        if file.groups:
            yield PlannedPart(file.part(first, len(file.groups), rows_before=before), rows)
