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
    #: Whether a condition is asked of its rows, and the row groups of which it lets none through.
    is_filtered: bool = False
    left_out: frozenset[int] = frozenset()

    @property
    def rows(self) -> int:
        """All its rows."""
        return sum(self.groups)

    @property
    def rows_left_out(self) -> int:
        """The rows of the row groups that are not read."""
        return sum(self.groups[group] for group in self.left_out)

    @property
    def kept(self) -> tuple[int, ...]:
        """The row groups that are read."""
        return tuple(group for group in range(len(self.groups)) if group not in self.left_out)

    def part(self, first: int, stop: int, *, rows_before: int = 0) -> ObjectPart:
        """Give the row groups ``[first, stop)``."""
        return ObjectPart(
            uri=str(self.found),
            etag=self.found.etag,
            size_bytes=self.found.size_bytes,
            span=RowGroups(first=first, stop=stop, rows_before=rows_before, is_filtered=self.is_filtered),
        )


def parts_of(files: Iterable[GroupedFile], *, chunk_rows: int) -> Iterator[PlannedPart]:
    """Cut each file into runs of row groups of at most ``chunk_rows``, but for groups that have more."""
    for file in files:
        first = before = rows = 0
        for group, count in enumerate(file.groups):
            is_left_out = group in file.left_out
            if group > first and (is_left_out or rows + count > chunk_rows):
                yield PlannedPart(file.part(first, group, rows_before=before), rows)
                first, before, rows = group, before + rows, 0
            if is_left_out:
                first, before = group + 1, before + count
            else:
                rows += count
        if first < len(file.groups):
            yield PlannedPart(file.part(first, len(file.groups), rows_before=before), rows)
