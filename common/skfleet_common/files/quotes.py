"""Quotes of a text file: whether bytes lie inside or outside of quoted fields, and so where records end.

In a well-formed file a double quote stands at the beginning of a field, at its end, or beside another one
inside of it. So every quoted field has an even number of them, and a byte is inside of one exactly if an odd
number of quotes is before it in the file. Whoever begins outside, and finds the quotes of his bytes
well-formed and even in number, ends outside, where the next one begins: that is why a file of which every
slice was found so was cut between records (docs/files.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

_QUOTE, _LF, _CR = b'"'[0], b"\n"[0], b"\r"[0]

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


def are_well_formed(block: bytes, *, delimiter: str, inside: bool) -> bool:
    """Whether the quotes of a block stand where they may, if it begins inside of a quoted field or not.

    What a quote at the very beginning stands behind, and one at the very end before, is not looked at.
    """
    data = np.frombuffer(block, dtype=np.uint8)
    places = np.flatnonzero(data == _QUOTE)
    if not len(places):
        return True
    opens = (np.arange(len(places)) + inside) % 2 == 0
    before = places[opens & (places > 0)] - 1
    after = places[~opens & (places < len(data) - 1)] + 1
    edges = np.array([ord(delimiter), _LF, _CR, _QUOTE], dtype=np.uint8)
    return bool(np.isin(data[before], edges).all() and np.isin(data[after], edges).all())


def record_ends(block: bytes, *, inside: bool) -> npt.NDArray[np.int64]:
    """Give the places right behind the line breaks that end records, if the block begins inside or not.

    A break at the very end may be half of one, and is left out.
    """
    data = np.frombuffer(block, dtype=np.uint8)
    outside = ((np.cumsum(data == _QUOTE) + inside) % 2 == 0)[:-1]
    here, following = data[:-1], data[1:]
    breaks = (here == _LF) | ((here == _CR) & (following != _LF))
    return (np.flatnonzero(breaks & outside) + 1).astype(np.int64)


def has_quoted_break(block: bytes, *, inside: bool) -> bool:
    """Whether a line break is part of a field."""
    data = np.frombuffer(block, dtype=np.uint8)
    within = (np.cumsum(data == _QUOTE) + inside) % 2 == 1
    return bool((((data == _LF) | (data == _CR)) & within).any())


@dataclass
class QuoteCheck:
    """The quotes of bytes that pass by, block by block."""

    delimiter: str
    quotes: int = 0
    is_well_formed: bool = True
    _last: bytes = field(default=b"\n", repr=False)

    def take(self, block: bytes) -> None:
        """Look at the next bytes."""
        here = block.count(b'"')
        if here or self._last == b'"':
            # The last byte before them says what a first quote stands behind; it was counted there.
            seen = self._last == b'"'
            inside = (self.quotes - seen) % 2 == 1
            self.is_well_formed = self.is_well_formed and are_well_formed(
                self._last + block, delimiter=self.delimiter, inside=inside
            )
        self.quotes += here
        self._last = block[-1:] or self._last
