"""Cuts: places between two records of a CSV file, found in a window of it, whatever is before the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from skfleet_common.files.quotes import are_well_formed, has_quoted_break, record_ends

#: How much is looked at for a place, before the next larger window is.
WINDOW_BYTES = (16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024)

#: Records that must be complete before their fields speak for anything.
_ENOUGH_RECORDS = 2

#: Records that a window should have room for: those, and what it begins and ends within.
_ROOM_FOR_RECORDS = _ENOUGH_RECORDS + 2


class WhyNot(StrEnum):
    """Why a file is not cut."""

    QUOTED_BREAK = "a field holds a line break"
    UNDECIDED = "nothing tells where records end"
    LONG_ROWS = "its rows are too long for 1 MB of them to tell where they end"


@dataclass(frozen=True)
class Reading:
    """What a window is, if it begins inside of a quoted field or not."""

    inside: bool
    is_well_formed: bool
    #: The places right behind records, from the window's beginning on.
    ends: tuple[int, ...]
    #: Complete records, and those of them that have as many fields as the header.
    records: int
    fitting: int

    @property
    def is_likely(self) -> bool:
        """Whether most of enough records have the fields that they should."""
        return self.is_well_formed and self.records >= _ENOUGH_RECORDS and 2 * self.fitting > self.records


def windows_for(row_bytes: float) -> tuple[int, ...]:
    """Give the windows that are worth a look where rows have about so many bytes; the last one always is."""
    wide = [it for it in WINDOW_BYTES if it >= _ROOM_FOR_RECORDS * row_bytes]
    return tuple(wide) or WINDOW_BYTES[-1:]


def find_cut(
    fetch: Callable[[int, int], bytes],
    near: int,
    *,
    size_bytes: int,
    delimiter: str,
    width: int,
    windows: Sequence[int] = WINDOW_BYTES,
) -> int | WhyNot | None:
    """Give the first place at or behind ``near`` where a record begins, or why it cannot be told.

    None if the file ends too soon behind it for a cut. ``fetch`` gives the bytes ``[first, stop)`` of the
    file, and is asked for none of them twice; ``width`` is the number of its columns.
    """
    block = b""
    for window_bytes in windows:
        stop = min(near + window_bytes, size_bytes)
        block += fetch(near + len(block), stop)
        found = judge(block, delimiter=delimiter, width=width)
        if not isinstance(found, WhyNot):
            return near + found
        if found is WhyNot.QUOTED_BREAK:
            return found
        if stop == size_bytes:
            return None if window_bytes == windows[0] or _has_few_lines(block) else found
    return WhyNot.LONG_ROWS if _has_few_lines(block) else WhyNot.UNDECIDED


def _has_few_lines(block: bytes) -> bool:
    """Whether it cannot hold enough complete records, wherever it begins."""
    return max(block.count(b"\n"), block.count(b"\r")) <= _ENOUGH_RECORDS


def judge(block: bytes, *, delimiter: str, width: int) -> int | WhyNot:
    """Give the first place in a window where a record begins.

    Both readings are tried. Under the wrong one, text stands where quotes open or close, or records have
    other numbers of fields; a window without any quote is taken to be outside, which the quotes of the
    slice before it confirm when it is read.
    """
    readings = [_read(block, inside, delimiter=delimiter, width=width) for inside in (False, True)]
    if b'"' not in block:
        readings = readings[:1]
    likely = [reading for reading in readings if reading.is_likely]
    if len(likely) != 1:
        return WhyNot.UNDECIDED
    if has_quoted_break(block, inside=likely[0].inside):
        return WhyNot.QUOTED_BREAK
    return likely[0].ends[0]


def _read(block: bytes, inside: bool, *, delimiter: str, width: int) -> Reading:
    ends = record_ends(block, inside=inside)
    data = np.frombuffer(block, dtype=np.uint8)
    outside = (np.cumsum(data == ord('"')) + inside) % 2 == 0
    upto = np.concatenate([[0], np.cumsum((data == ord(delimiter)) & outside)])
    delimiters = np.diff(upto[ends])
    # Blank lines are no records.
    breaks = np.concatenate([[0], np.cumsum(((data == ord("\n")) | (data == ord("\r"))) & outside)])
    filled = np.diff(ends) > np.diff(breaks[ends])
    return Reading(
        inside=inside,
        is_well_formed=are_well_formed(block, delimiter=delimiter, inside=inside),
        ends=tuple(ends.tolist()),
        records=int(filled.sum()),
        fitting=int((filled & (delimiters == width - 1)).sum()),
    )
