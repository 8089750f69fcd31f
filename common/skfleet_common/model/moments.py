"""Moments: dates, times and timestamps taken apart into numbers that a model can use."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.arrays import BoolArray, FloatArray, numbers

_MICROSECONDS = 1_000_000.0
_MICROSECONDS_A_DAY = 86_400_000_000

#: The parts that a moment has unless others are asked for. Weekdays count from Monday = 1 (ISO 8601).
#: ``epoch_day`` and ``epoch_second`` count from 1970-01-01 UTC.
_USUAL = {
    LogicalDtype.DATE: ("year", "month", "day", "weekday", "epoch_day"),
    LogicalDtype.TIME: ("hour", "minute", "second_of_day"),
    LogicalDtype.TIMESTAMP: ("year", "month", "day", "weekday", "hour", "second_of_day", "epoch_second"),
}
_OF_DAYS = ("year", "quarter", "month", "week", "day", "day_of_year", "weekday")
_OF_TIMES = ("hour", "minute", "second", "second_of_day")
_POSSIBLE = {
    LogicalDtype.DATE: (*_OF_DAYS, "epoch_day"),
    LogicalDtype.TIME: _OF_TIMES,
    LogicalDtype.TIMESTAMP: (*_OF_DAYS, *_OF_TIMES, "epoch_second"),
}

MOMENTS = frozenset({LogicalDtype.DATE, LogicalDtype.TIME, LogicalDtype.TIMESTAMP, LogicalDtype.TIMESTAMPTZ})

#: PostgreSQL's own least moment is in 4713 BC. Infinity, and years after 294246, overflow Arrow's
#: microseconds and days to values far below that; and of years after 32767 Arrow tells wrong parts, silently.
_LEAST_DAY, _LAST_DAY = -2_500_000, 11_248_737
BEYOND = "is infinite, or after the year 32767"


def parts_of(dtype: LogicalDtype) -> tuple[str, ...]:
    """Give the parts that a moment of ``dtype`` has unless others are asked for."""
    return _USUAL[LogicalDtype.TIMESTAMP if dtype is LogicalDtype.TIMESTAMPTZ else dtype]


def possible_parts(dtype: LogicalDtype) -> tuple[str, ...]:
    """Give every part that may be asked of a moment of ``dtype``."""
    return _POSSIBLE[LogicalDtype.TIMESTAMP if dtype is LogicalDtype.TIMESTAMPTZ else dtype]


def moment_parts(array: pa.Array, parts: Sequence[str]) -> list[FloatArray]:
    """Give the asked parts of canonical dates, times or timestamps as float64, with NaN for NULL.

    A timestamp with a time zone is taken apart in UTC, whatever zone it was written in.
    """
    if pt.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us"))
    return [_PARTS[part](array) for part in parts]


def as_numbers(array: pa.Array) -> FloatArray:
    """Give moments as one number each: days or seconds since 1970-01-01 UTC, or seconds since midnight."""
    count = _integers(array)
    return count if pt.is_date32(array.type) else count / _MICROSECONDS


def beyond(array: pa.Array) -> BoolArray | None:
    """Give where dates and timestamps are beyond what can be taken apart; None if nowhere."""
    if pt.is_date32(array.type):
        least, last = _LEAST_DAY, _LAST_DAY
    elif pt.is_timestamp(array.type):
        least, last = _LEAST_DAY * _MICROSECONDS_A_DAY, (_LAST_DAY + 1) * _MICROSECONDS_A_DAY - 1
    else:
        return None
    ends = pc.min_max(array)
    if ends["min"].value is None or (ends["min"].value >= least and ends["max"].value <= last):
        return None
    count = array.cast(pa.int32() if pt.is_date32(array.type) else pa.int64())
    flags: BoolArray = (
        pc.or_(pc.less(count, least), pc.greater(count, last)).fill_null(False).to_numpy(zero_copy_only=False)
    )
    return flags


def iso(moment: pa.Scalar) -> str:
    """Give a moment in ISO 8601, also where Python's own types end."""
    if pt.is_time(moment.type) and moment.value == _MICROSECONDS_A_DAY:
        # Python would say 00:00.
        return "24:00:00"
    try:
        text: str = moment.as_py().isoformat()
    except (ValueError, OverflowError):
        kind = "datetime64[D]" if pt.is_date32(moment.type) else "datetime64[us]"
        text = str(np.array([moment.value]).astype(kind)[0])
        before_zero, year, rest = re.fullmatch(r"(-?)(\d+)(-.*)", text).groups()  # type: ignore[union-attr]
        return f"{before_zero}{int(year):04}{rest}"
    return text


def spoken(number: float, dtype: LogicalDtype) -> str:
    """Give what :func:`as_numbers` makes of a moment as people write it, to the second; others as numbers."""
    if dtype is LogicalDtype.BOOLEAN:
        return "true" if number else "false"
    if dtype not in MOMENTS:
        return f"{number:.6g}"
    if dtype is LogicalDtype.TIME:
        minutes, seconds = divmod(int(number), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    return str(np.datetime64(math.floor(number), "D" if dtype is LogicalDtype.DATE else "s"))


def _integers(array: pa.Array) -> FloatArray:
    return numbers(array.cast(pa.int32() if pt.is_date32(array.type) else pa.int64()))


def _second_of_day(array: pa.Array) -> FloatArray:
    if pt.is_time(array.type):
        return _integers(array) / _MICROSECONDS
    # Whole numbers, because a double has no microseconds after 2255; floored, so that times before 1970 count
    # from midnight too.
    count = array.cast(pa.int64())
    since_midnight: FloatArray = np.mod(count.fill_null(0).to_numpy(), _MICROSECONDS_A_DAY) / _MICROSECONDS
    if array.null_count:
        since_midnight[count.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return since_midnight


_PARTS: dict[str, Callable[[pa.Array], FloatArray]] = {
    "year": lambda array: numbers(pc.year(array)),
    "quarter": lambda array: numbers(pc.quarter(array)),
    "month": lambda array: numbers(pc.month(array)),
    "week": lambda array: numbers(pc.iso_week(array)),
    "day": lambda array: numbers(pc.day(array)),
    "day_of_year": lambda array: numbers(pc.day_of_year(array)),
    "weekday": lambda array: numbers(pc.day_of_week(array, count_from_zero=False, week_start=1)),
    "hour": lambda array: numbers(pc.hour(array)),
    "minute": lambda array: numbers(pc.minute(array)),
    "second": lambda array: numbers(pc.second(array)),
    "second_of_day": _second_of_day,
    "epoch_day": _integers,
    "epoch_second": as_numbers,
}
