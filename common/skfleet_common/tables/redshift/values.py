"""Printed values as Arrow arrays: what the leader prints, taken at its word.

A whole column is converted at a time, which is many times faster than the driver's own objects. Moments that
Arrow's parser does not know (years before Christ, or of five digits) are converted one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import Column, LogicalDtype

_INTEGERS = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64()}

_MICROSECONDS_A_DAY = 86_400_000_000

_MOMENT = re.compile(
    r"(?P<year>\d+)-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?: (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?(?P<bc> BC)?"
)
_TIME = re.compile(r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?")

#: Sessions are in UTC, and print it so.
_UTC = r"\+00(:00)?"

_DAYS_BEFORE_1970 = 719_468


def feature_array(printed: pa.Array, column: Column) -> pa.Array:
    """Give printed values as what the column's values are (see :class:`LogicalDtype`)."""
    if column.dtype is LogicalDtype.INTEGER:
        return pc.cast(printed, _INTEGERS[column.warehouse_type])
    convert = _CONVERSIONS.get(column.dtype)
    return text_array(printed, column) if convert is None else convert(printed)


def text_array(printed: pa.Array, column: Column) -> pa.Array:
    """Give printed values as text that every reader takes for the same: ``true``, no padding of CHAR.

    Floating-point numbers are spelled as those of an unloaded file are: ``0.1``, ``1e+23``, ``nan``, ``inf``.
    What prints them, and with how many digits, is then of no account to ids and checksums.
    """
    if column.dtype is LogicalDtype.BOOLEAN:
        return pc.if_else(_booleans(printed), "true", "false")
    if column.dtype in {LogicalDtype.FLOAT32, LogicalDtype.FLOAT64}:
        return _doubles(printed).cast(pa.string())
    return pc.utf8_rtrim(printed, " ") if is_padded(column) else printed


def printed_text(printed: str, column: Column) -> str:
    """Give one printed key, which is to be a literal: numbers as they are printed."""
    if column.dtype is LogicalDtype.BOOLEAN:
        return {"t": "true", "f": "false"}.get(printed, printed)
    return printed.rstrip(" ") if is_padded(column) else printed


def is_padded(column: Column) -> bool:
    """Whether values are padded with blanks, which mean nothing ("Significance of trailing blanks")."""
    return column.warehouse_type.startswith("character(")


def _booleans(printed: pa.Array) -> pa.Array:
    return pc.or_(pc.equal(printed, "t"), pc.equal(printed, "true"))


def _doubles(printed: pa.Array) -> pa.Array:
    return pc.cast(printed, pa.float64())


def _reals(printed: pa.Array) -> pa.Array:
    return pc.cast(_doubles(printed), pa.float32(), safe=False)


def _dates(printed: pa.Array) -> pa.Array:
    return _moments(printed, pa.date32())


def _timestamps(printed: pa.Array) -> pa.Array:
    return _moments(printed, pa.timestamp("us"))


def _instants(printed: pa.Array) -> pa.Array:
    return _timestamps(pc.replace_substring_regex(printed, _UTC, "")).cast(pa.timestamp("us", "UTC"))


def _moments(printed: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return pc.cast(printed, kind)
    except pa.ArrowInvalid:
        counts = [None if text is None else _count(text, kind) for text in printed.to_pylist()]
        return pa.array(counts, pa.int32() if pa.types.is_date32(kind) else pa.int64()).cast(kind)


def _count(text: str, kind: pa.DataType) -> int:
    """Give days or microseconds since 1970; what is infinite gives the least or the largest number."""
    is_date = pa.types.is_date32(kind)
    found = _MOMENT.fullmatch(text)
    if found is None:
        end = 2**31 - 1 if is_date else 2**63 - 1
        return -end if text.startswith("-") else end
    year = 1 - int(found["year"]) if found["bc"] else int(found["year"])
    days = _days(year, int(found["month"]), int(found["day"]))
    if is_date:
        return days
    count = days * _MICROSECONDS_A_DAY + (_microseconds(found) if found["hour"] else 0)
    return min(count, 2**63 - 1)


def _days(year: int, month: int, day: int) -> int:
    """Count the days since 1970-01-01 in the Gregorian calendar, from years that begin in March."""
    year -= month <= 2  # noqa: PLR2004  (January and February end the year before)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return 365 * year + year // 4 - year // 100 + year // 400 + day_of_year - _DAYS_BEFORE_1970


def _times(printed: pa.Array) -> pa.Array:
    # Every distinct time once: there are few.
    encoded = printed.dictionary_encode()
    counts = [_time(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(counts, pa.int64()).cast(pa.time64("us")).take(encoded.indices)


def _time(text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("a time of day is printed as HH:MM:SS")
    return _microseconds(found)


def _microseconds(found: re.Match[str]) -> int:
    seconds = (int(found["hour"]) * 60 + int(found["minute"])) * 60 + int(found["second"])
    return seconds * 1_000_000 + int((found["fraction"] or "").ljust(6, "0"))


_CONVERSIONS: dict[LogicalDtype, Callable[[pa.Array], pa.Array]] = {
    LogicalDtype.BOOLEAN: _booleans,
    LogicalDtype.DATE: _dates,
    LogicalDtype.DECIMAL: _doubles,
    LogicalDtype.FLOAT32: _reals,
    LogicalDtype.FLOAT64: _doubles,
    LogicalDtype.TIME: _times,
    LogicalDtype.TIMESTAMP: _timestamps,
    LogicalDtype.TIMESTAMPTZ: _instants,
}
