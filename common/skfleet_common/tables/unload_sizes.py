"""Sizes of unloaded files: what rows a chunk become in megabytes a file and a row group."""

from __future__ import annotations

from dataclasses import dataclass

#: Both sizes are multiples of it: MAXFILESIZE is rounded down to whole row groups of the default size, and a
#: row group has 32 to 128 MB ("UNLOAD", MAXFILESIZE and ROWGROUPSIZE).
STEP_MEGABYTES = 32
MOST_GROUP_MEGABYTES = 128
#: Files may have up to 6.2 GB, but a large one is written by one slice alone while others are done.
MOST_FILE_MEGABYTES = 1_024

_MEGABYTE = 1024**2
#: Row groups of which a chunk is made up at least, where it is large enough: chunks then differ by less.
_GROUPS_A_CHUNK = 4


@dataclass(frozen=True)
class UnloadSizes:
    """How large UNLOAD may make files and row groups; a chunk is one or more whole row groups."""

    file_megabytes: int
    group_megabytes: int
    #: About how many rows a row group holds: no chunk has fewer, unless its file ends before.
    group_rows: int

    @classmethod
    def of(cls, chunk_rows: int, *, row_bytes: int) -> UnloadSizes:
        """Choose them so that files have about ``chunk_rows`` rows of about ``row_bytes`` each."""
        chunk = chunk_rows * max(1, row_bytes) / _MEGABYTE
        group = _steps(chunk / _GROUPS_A_CHUNK, most=MOST_GROUP_MEGABYTES)
        return cls(
            file_megabytes=max(group, _steps(chunk, most=MOST_FILE_MEGABYTES)),
            group_megabytes=group,
            group_rows=group * _MEGABYTE // max(1, row_bytes),
        )


def _steps(megabytes: float, *, most: int) -> int:
    return min(most, max(1, int(megabytes // STEP_MEGABYTES)) * STEP_MEGABYTES)
