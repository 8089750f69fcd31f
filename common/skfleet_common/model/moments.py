"""Moments: dates and timestamps taken apart into numbers that a model can use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.arrays import FloatArray, numbers

#: Weekdays count from Monday = 1 (ISO 8601). ``epoch_day`` and ``epoch_second`` count from 1970-01-01 UTC.
DATE_PARTS = ("year", "month", "day", "weekday", "epoch_day")
TIMESTAMP_PARTS = ("year", "month", "day", "weekday", "hour", "second_of_day", "epoch_second")

_MICROSECONDS = 1_000_000.0
_SECONDS_A_DAY = 86_400


def parts_of(dtype: LogicalDtype) -> tuple[str, ...]:
    """Give the parts that a moment of ``dtype`` has."""
    return DATE_PARTS if dtype is LogicalDtype.DATE else TIMESTAMP_PARTS


def moment_parts(array: pa.Array, parts: Sequence[str]) -> list[FloatArray]:
    """Give the asked parts of canonical dates or timestamps as float64, with NaN for NULL.

    A timestamp with a time zone is taken apart in UTC, whatever zone it was written in.
    """
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us"))
    return [_PARTS[part](array) for part in parts]


def _second_of_day(array: pa.Array) -> FloatArray:
    # Floored, so that times before 1970 count from midnight too.
    microseconds = numbers(array.cast(pa.int64()))
    return np.mod(microseconds, _SECONDS_A_DAY * _MICROSECONDS) / _MICROSECONDS


_PARTS: dict[str, Callable[[pa.Array], FloatArray]] = {
    "year": lambda array: numbers(pc.year(array)),
    "month": lambda array: numbers(pc.month(array)),
    "day": lambda array: numbers(pc.day(array)),
    "weekday": lambda array: numbers(pc.day_of_week(array, count_from_zero=False, week_start=1)),
    "hour": lambda array: numbers(pc.hour(array)),
    "second_of_day": _second_of_day,
    "epoch_day": lambda array: numbers(array.cast(pa.int32())),
    "epoch_second": lambda array: numbers(array.cast(pa.int64())) / _MICROSECONDS,
}
