"""Spellings: how values are written in a text file, and what they become.

The patterns are the definition (docs/inputs.md tells them to users); Arrow's own casts take more, such as
hexadecimal numbers, and less, such as spaces around a number.
"""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype


class Spelling(StrEnum):
    """What a text looks like; every text has exactly one spelling."""

    INTEGER = "integer"
    #: More digits than 64 bits are sure to hold.
    LONG_INTEGER = "long integer"
    #: A whole number that begins with zeros: a postcode, an article number.
    CODE = "code"
    FLOAT = "float"
    INFINITE = "infinite"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    TIME = "time"
    #: Nothing between two delimiters.
    BLANK = "blank"
    #: A word that stands for nothing beside values of another type than text.
    NULL = "null"
    #: Anything else.
    TEXT = "text"


_DATE = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_ZONE = r" ?(Z|[+-]\d{2}(:?\d{2})?)"
_NULL_WORDS = r"(?i:na|n/a|#n/a|nan|null|none)|\\N"

#: RE2's syntax; spaces around a value do not count.
_PATTERNS = {
    Spelling.INTEGER: r"[+-]?(0|[1-9]\d{0,17})",
    Spelling.FLOAT: r"[+-]?((0|[1-9]\d*)\.\d*|\.\d+|(0|[1-9]\d*)(\.\d*)?[eE][+-]?\d+)",
    Spelling.DATE: _DATE,
    Spelling.TIMESTAMP: rf"{_DATE}[ T]{_CLOCK}",
    Spelling.TIMESTAMPTZ: rf"{_DATE}[ T]{_CLOCK}{_ZONE}",
    Spelling.BOOLEAN: "(?i:true|false|t|f|yes|no)",
    Spelling.TIME: _CLOCK,
    Spelling.CODE: r"[+-]?0\d+",
    Spelling.LONG_INTEGER: r"[+-]?[1-9]\d{18,}",
    Spelling.INFINITE: "(?i:[+-]?(inf|infinity))",
    Spelling.BLANK: "",
    Spelling.NULL: _NULL_WORDS,
}
PATTERNS = {spelling: rf"^\s*({pattern})\s*$" for spelling, pattern in _PATTERNS.items()}

#: What begins like none of the patterns is text, which saves asking them all.
NOT_SURELY_TEXT = (
    r"^\s*([+-]?\.?\d|[+-]?(?i:inf)|(?i:true|false|t|f|yes|no)\s*$|(" + _NULL_WORDS + r")\s*$|$)"
)

_NUMBERS = {Spelling.INTEGER, Spelling.CODE, Spelling.LONG_INTEGER, Spelling.FLOAT, Spelling.INFINITE}

#: The spellings that a type takes when it is asked for; what stands for nothing goes without saying.
TAKES = {
    LogicalDtype.INTEGER: _NUMBERS - {Spelling.FLOAT, Spelling.INFINITE},
    LogicalDtype.FLOAT32: _NUMBERS,
    LogicalDtype.FLOAT64: _NUMBERS,
    LogicalDtype.DECIMAL: _NUMBERS,
    LogicalDtype.BOOLEAN: {Spelling.BOOLEAN, Spelling.INTEGER},
    LogicalDtype.DATE: {Spelling.DATE},
    LogicalDtype.TIMESTAMP: {Spelling.DATE, Spelling.TIMESTAMP},
    LogicalDtype.TIMESTAMPTZ: {Spelling.DATE, Spelling.TIMESTAMP, Spelling.TIMESTAMPTZ},
    LogicalDtype.TIME: {Spelling.TIME},
    LogicalDtype.TEXT: set(Spelling),
}

_ARROW = {
    LogicalDtype.INTEGER: pa.int64(),
    LogicalDtype.FLOAT32: pa.float32(),
    LogicalDtype.FLOAT64: pa.float64(),
    LogicalDtype.DECIMAL: pa.float64(),
    LogicalDtype.DATE: pa.date32(),
    LogicalDtype.TIMESTAMP: pa.timestamp("us"),
    LogicalDtype.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
}

_TRUE = r"^(?i:true|t|yes|\+?1)$"
_BINARY = r"^(?i:true|false|t|f|yes|no|[+-]?0|\+?1)$"

#: Digits beyond microseconds, which no warehouse keeps, are cut.
_TOO_FINE = r"(\.\d{6})\d+"


def spelt(array: pa.Array, spelling: Spelling) -> pa.Array:
    """Give where texts have a spelling; a day or an hour that does not exist is text."""
    flags = pc.match_substring_regex(array, PATTERNS[spelling])
    if spelling in _MOMENTS and pc.any(flags, min_count=0).as_py():
        return _existing(array, flags, _MOMENTS[spelling])
    return flags


def as_type(array: pa.Array, dtype: LogicalDtype) -> pa.Array:
    """Give texts as values of a type, whose spellings they all have.

    Raises:
        pa.ArrowInvalid: an integer is beyond 64 bits, or is neither 0 nor 1 for a boolean.
    """
    if dtype is LogicalDtype.TEXT:
        return array
    plain = _plain(array, dtype)
    if plain is not None:
        return plain
    blanks = pc.match_substring_regex(array, rf"^\s*({_NULL_WORDS}|)\s*$")
    texts = pc.utf8_trim_whitespace(pc.if_else(blanks, pa.scalar(None, array.type), array))
    if dtype is LogicalDtype.BOOLEAN:
        return _booleans(texts)
    if dtype is LogicalDtype.INTEGER:
        # Arrow takes no plus sign.
        return pc.replace_substring_regex(texts, r"^\+", "").cast(pa.int64())
    if dtype in _MOMENTS.values():
        return _moments(pc.replace_substring_regex(texts, _TOO_FINE, r"\1"), dtype)
    return texts.cast(pa.float64()).cast(_ARROW[dtype], safe=False)


_MOMENTS = {
    Spelling.DATE: LogicalDtype.DATE,
    Spelling.TIMESTAMP: LogicalDtype.TIMESTAMP,
    Spelling.TIMESTAMPTZ: LogicalDtype.TIMESTAMPTZ,
    Spelling.TIME: LogicalDtype.TIME,
}


def _plain(array: pa.Array, dtype: LogicalDtype) -> pa.Array | None:
    """Give numbers that Arrow reads as they are, at several times the speed; None if there are others."""
    if dtype not in {LogicalDtype.INTEGER, LogicalDtype.FLOAT64, LogicalDtype.DECIMAL}:
        return None
    try:
        values = array.cast(_ARROW[dtype])
    except pa.ArrowInvalid:
        return None
    is_nan = dtype is not LogicalDtype.INTEGER and pc.any(pc.is_nan(values), min_count=0).as_py()
    return None if is_nan else values


def _booleans(texts: pa.Array) -> pa.Array:
    if not pc.all(pc.match_substring_regex(texts, _BINARY), min_count=0).as_py():
        raise pa.ArrowInvalid("a number other than 0 and 1")
    return pc.match_substring_regex(texts, _TRUE)


def _moments(texts: pa.Array, dtype: LogicalDtype) -> pa.Array:
    if dtype is LogicalDtype.TIME:
        moments = pc.binary_join_element_wise(pa.scalar("1970-01-01"), texts, " ")
        return moments.cast(pa.timestamp("us")).cast(pa.time64("us"))
    return (_zoned(texts) if dtype is LogicalDtype.TIMESTAMPTZ else texts).cast(_ARROW[dtype])


def _zoned(texts: pa.Array) -> pa.Array:
    """Give moments with their zone behind them; one that has none is in UTC."""
    dates = pc.match_substring_regex(texts, PATTERNS[Spelling.DATE])
    texts = pc.if_else(dates, pc.binary_join_element_wise(texts, "00:00Z", " "), texts)
    bare = pc.match_substring_regex(texts, PATTERNS[Spelling.TIMESTAMP])
    texts = pc.if_else(bare, pc.binary_join_element_wise(texts, "Z", ""), texts)
    return pc.replace_substring_regex(texts, r"^(\S+[ T]\S+) (\S+)$", r"\1\2")


def _existing(array: pa.Array, flags: pa.Array, dtype: LogicalDtype) -> pa.Array:
    """Give which of the texts that look like moments are in the calendar."""
    moments = pc.if_else(flags, array, pa.scalar(None, array.type))
    if _are_moments(moments, dtype):
        return flags
    exist = [text is not None and _are_moments(pa.array([text]), dtype) for text in moments.to_pylist()]
    return pc.if_else(pc.is_null(flags), pa.scalar(None, pa.bool_()), pa.array(exist, type=pa.bool_()))


def _are_moments(array: pa.Array, dtype: LogicalDtype) -> bool:
    try:
        as_type(array, dtype)
    except pa.ArrowInvalid:
        return False
    return True
