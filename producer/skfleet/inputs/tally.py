"""Tallies: what the texts of one column look like, counted over a whole file, and the type that follows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.files.spellings import NOT_SURELY_TEXT, TAKES, Spelling, spelt

#: Rows of each spelling that a sentence names.
NAMED_ROWS = 3

#: From this share on, values of one kind are what the column is meant to hold, and the others a fault in it.
MOSTLY = 0.9

_NOTHING = {Spelling.BLANK, Spelling.NULL}
_INTEGERS = {Spelling.INTEGER, Spelling.LONG_INTEGER}
_NUMBERS = _INTEGERS | {Spelling.FLOAT, Spelling.INFINITE}
_WITH_CODES = _NUMBERS | {Spelling.CODE}
_LOCAL_MOMENTS = {Spelling.DATE, Spelling.TIMESTAMP}
_MOMENTS = _LOCAL_MOMENTS | {Spelling.TIMESTAMPTZ}

#: Ways of writing that are worth a word, by one example.
_OTHER_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}( .*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(\.\d{3})*,\d+")

_ORDER = [spelling for spelling in Spelling if spelling is not Spelling.TEXT]

_BEYOND_64_BITS = (
    "holds whole numbers beyond 64 bits, which are read as double-precision numbers; --type {column}=text "
    "keeps every digit"
)
_CODES = "holds numbers that begin with zeros, and is taken as text; --type {column}=integer makes it numbers"

_PAIRS = (("true", "false"), ("yes", "no"), ("t", "f"))
_WORDS = "holds {words}, and is taken as true or false; --type {{column}}=text keeps the words"

#: The first whose spellings are all that a column holds is its type.
_NARROWEST = (
    (LogicalDtype.BOOLEAN, {Spelling.BOOLEAN}),
    (LogicalDtype.INTEGER, _INTEGERS),
    (LogicalDtype.FLOAT64, _NUMBERS),
    (LogicalDtype.DATE, {Spelling.DATE}),
    (LogicalDtype.TIMESTAMP, _LOCAL_MOMENTS),
    (LogicalDtype.TIMESTAMPTZ, {Spelling.TIMESTAMPTZ}),
    (LogicalDtype.TIME, {Spelling.TIME}),
)


@dataclass(frozen=True)
class Oddities:
    """The values of a column that are not what the others are."""

    rows: int
    #: The first of them: number of the file, and row in it.
    first: tuple[tuple[int, int], ...]
    #: One of them, as it is written.
    example: str


@dataclass(frozen=True)
class Finding:
    """What a column is, and what a person should know of that."""

    dtype: LogicalDtype
    #: In words, what most of its values are: ``numbers``.
    mostly: str = ""
    #: Values that the type does not take; the column cannot be read while there are some.
    odd: Oddities | None = None
    #: The end of a sentence that begins with the column's name, which it may ask for as ``{column}``.
    note: str | None = None


@dataclass
class Tally:
    """The spellings of one column, block by block."""

    counts: Counter[Spelling] = field(default_factory=Counter)
    _first: dict[Spelling, list[tuple[int, int]]] = field(default_factory=dict)
    _examples: dict[Spelling, str] = field(default_factory=dict)
    _usual: Spelling = Spelling.INTEGER
    #: Whether a whole number is beyond 64 bits.
    beyond_64_bits: bool = False
    text_bytes: int = 0

    def add(self, array: pa.Array, *, file: int, first_row: int) -> None:
        """Count the next texts of the column."""
        self.text_bytes += array.nbytes
        positions = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
        left = array.drop_null()
        if self._usual is Spelling.TEXT:
            surely = pc.invert(pc.match_substring_regex(left, NOT_SURELY_TEXT))
            left, positions = self._count(Spelling.TEXT, surely, left, positions, (file, first_row))
        else:
            flags = spelt(left, self._usual)
            left, positions = self._count(self._usual, flags, left, positions, (file, first_row))
        for spelling in _ORDER:
            if not len(left):
                break
            flags = spelt(left, spelling)
            left, positions = self._count(spelling, flags, left, positions, (file, first_row))
        everything = pa.array(np.ones(len(left), dtype=bool))
        self._count(Spelling.TEXT, everything, left, positions, (file, first_row))
        if self.counts:
            self._usual = max(self.counts, key=lambda spelling: self.counts[spelling])

    def as_inferred(self) -> Finding:
        """Give the narrowest type that takes every value; text takes all."""
        total = self._of(set(Spelling) - _NOTHING)
        for dtype, spellings in _NARROWEST if total else ():
            if self._of(spellings) == total:
                if dtype is LogicalDtype.INTEGER and self.beyond_64_bits:
                    return Finding(LogicalDtype.DECIMAL, note=_BEYOND_64_BITS)
                return Finding(dtype, note=self._note_of_words() if dtype is LogicalDtype.BOOLEAN else None)
        if self._of(_WITH_CODES) == total:
            return Finding(LogicalDtype.TEXT, note=_CODES if total else None)
        return self._mixed(total) or Finding(LogicalDtype.TEXT, note=self._note_of_text(total))

    def _mixed(self, total: int) -> Finding | None:
        """Give what most values are meant to be, if a few are not."""
        if self._of(_MOMENTS) == total:
            zoned = {Spelling.TIMESTAMPTZ}
            few = min(_LOCAL_MOMENTS, zoned, key=self._of)
            mostly = f"times {'without' if few == zoned else 'with'} a time zone"
            return Finding(LogicalDtype.TEXT, mostly=mostly, odd=self._oddities(few))
        for mostly, spellings in (("numbers", _WITH_CODES), ("dates and times", _MOMENTS)):
            if self._of(spellings) >= MOSTLY * total:
                odd = self._oddities(set(Spelling) - spellings - _NOTHING)
                return Finding(LogicalDtype.TEXT, mostly=mostly, odd=odd)
        return None

    def as_asked(self, dtype: LogicalDtype) -> Finding:
        """Give what stands against a type that was asked for, if anything."""
        if dtype is LogicalDtype.INTEGER and self.beyond_64_bits:
            return Finding(dtype, odd=self._oddities({Spelling.LONG_INTEGER}))
        others = {kind for kind in set(Spelling) - TAKES[dtype] - _NOTHING if self.counts[kind]}
        return Finding(dtype, odd=self._oddities(others) if others else None)

    def _note_of_words(self) -> str | None:
        """Give a word to values that name true and false otherwise than a program does."""
        example = self._examples[Spelling.BOOLEAN].strip().lower()
        pair = next(pair for pair in _PAIRS if example in pair)
        return None if "true" in pair else _WORDS.format(words=" and ".join(map(repr, pair)))

    def _note_of_text(self, total: int) -> str | None:
        example = self._examples.get(Spelling.TEXT, "").strip()
        if self.counts[Spelling.NULL]:
            word = self._examples[Spelling.NULL]
            return f"is text, in which {word!r} is a value like others; --null-text {word} makes it NULL"
        if _OTHER_DATE.fullmatch(example):
            return f"is taken as text: dates are read as YYYY-MM-DD, not as {example!r}"
        if _DECIMAL_COMMA.fullmatch(example):
            return f"is taken as text: numbers are read with a point, not as {example!r}"
        numbers = self._of(_WITH_CODES)
        if 2 * numbers > total:
            return f"holds {numbers:,} numbers beside {total - numbers:,} other texts, and is taken as text"
        return None

    def _of(self, spellings: set[Spelling]) -> int:
        return sum(self.counts[spelling] for spelling in spellings)

    def _oddities(self, spellings: set[Spelling]) -> Oddities:
        first = sorted(place for spelling in spellings for place in self._first.get(spelling, []))
        commonest = max(spellings, key=lambda spelling: self.counts[spelling])
        return Oddities(self._of(spellings), tuple(first[:NAMED_ROWS]), self._examples[commonest])

    def _count(
        self,
        spelling: Spelling,
        flags: pa.Array,
        left: pa.Array,
        positions: npt.NDArray[np.int64],
        place: tuple[int, int],
    ) -> tuple[pa.Array, npt.NDArray[np.int64]]:
        """Count those that have the spelling, and give the others."""
        has_it = flags.to_numpy(zero_copy_only=False)
        times = int(has_it.sum())
        if not times:
            return left, positions
        self.counts[spelling] += times
        file, first_row = place
        named = self._first.setdefault(spelling, [])
        wanted = NAMED_ROWS - len(named)
        named += [(file, first_row + int(row)) for row in positions[has_it][:wanted]] if wanted else []
        if spelling not in self._examples:
            self._examples[spelling] = left[int(has_it.argmax())].as_py()
        if spelling is Spelling.LONG_INTEGER and not self.beyond_64_bits:
            self.beyond_64_bits = any(
                not -(2**63) <= int(text) < 2**63 for text in left.filter(flags).to_pylist()
            )
        if times == len(left):
            return left.slice(0, 0), positions[:0]
        others = ~has_it
        return left.filter(pa.array(others)), positions[others]
