"""Frames: pandas columns, as SQL drivers and people make them, turned into a reader's Arrow arrays.

What is logically the same is taken: integers with NULLs that became float64, booleans with None in an
object column, ``str`` or object text, Decimals, dates, times, timestamps of any zone. What is not is refused,
because a level ``"1"`` where ``1`` was learned would score as an unknown one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.model.arrays import CANONICAL, SPOKEN
from skfleet_common.model.manifest import Feature
from skfleet_common.model.refusals import MissingColumn, TypeChanged

#: Names for people of what pandas infers; the others speak for themselves.
_SPOKEN = {
    "string": "text",
    "integer": "whole numbers",
    "floating": "numbers with fractions",
    "boolean": "booleans",
    "decimal": "decimal numbers",
    "date": "dates",
    "datetime": "timestamps",
    "datetime64": "timestamps",
    "time": "times of day",
    "mixed-integer": "a mixture of integers and other values",
    "mixed": "a mixture of types",
}

#: What the values of each of pandas' kinds are, where nobody says.
_INFERRED = {
    "string": LogicalDtype.TEXT,
    "empty": LogicalDtype.TEXT,
    "integer": LogicalDtype.INTEGER,
    "floating": LogicalDtype.FLOAT64,
    "mixed-integer-float": LogicalDtype.FLOAT64,
    "decimal": LogicalDtype.DECIMAL,
    "boolean": LogicalDtype.BOOLEAN,
    "date": LogicalDtype.DATE,
    "time": LogicalDtype.TIME,
    "datetime": LogicalDtype.TIMESTAMP,
    "datetime64": LogicalDtype.TIMESTAMP,
}

#: How pandas' types for floats of 32 bits and fewer begin, Arrow's among them.
_SINGLE_PRECISION = ("float16", "float32", "float[", "halffloat")

_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}

#: What ``pandas.api.types.infer_dtype`` must say of the values, missing ones left aside.
_ACCEPTS: dict[LogicalDtype, set[str]] = {
    LogicalDtype.INTEGER: _NUMBERS,
    LogicalDtype.FLOAT32: _NUMBERS,
    LogicalDtype.FLOAT64: _NUMBERS,
    LogicalDtype.DECIMAL: _NUMBERS,
    LogicalDtype.BOOLEAN: {"boolean"},
    LogicalDtype.TEXT: {"string"},
    LogicalDtype.TIME: {"time"},
    LogicalDtype.DATE: {"date", "datetime", "datetime64"},
    LogicalDtype.TIMESTAMP: {"datetime", "datetime64"},
    LogicalDtype.TIMESTAMPTZ: {"datetime", "datetime64"},
}


def batch_of_frame(frame: pd.DataFrame, features: Sequence[Feature]) -> pa.RecordBatch:
    """Give the feature columns of ``frame`` as a reader would; order and other columns do not matter.

    Raises:
        MissingColumn: a feature is not there.
        TypeChanged: a column holds something else than in training.
        Refused: two columns have a feature's name.
    """
    names = list(frame.columns)
    arrays = []
    for feature in features:
        found = names.count(feature.column)
        if found == 0:
            raise MissingColumn.called(feature.column, (str(name) for name in names))
        if found > 1:
            raise Refused(f"The frame has {found} columns called {feature.column!r}; rename all but one.")
        array = array_of_series(frame[feature.column], feature.column, feature.dtype)
        # pandas keeps text in chunks.
        arrays.append(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)
    return pa.RecordBatch.from_arrays(arrays, names=[feature.column for feature in features])


def dtype_of_series(series: pd.Series) -> LogicalDtype | None:
    """Give what the values of a pandas column are: OTHER if no model can use them, None for a mixture."""
    series = _plain(series)
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind == "floating" and str(series.dtype).lower().startswith(_SINGLE_PRECISION):
        return LogicalDtype.FLOAT32
    if _INFERRED.get(kind) is LogicalDtype.TIMESTAMP:
        return LogicalDtype.TIMESTAMPTZ if True in _zones(series) else LogicalDtype.TIMESTAMP
    if kind not in {"mixed", "mixed-integer"}:
        return _INFERRED.get(kind, LogicalDtype.OTHER)
    scalars = all(pd.api.types.is_scalar(value) for value in series.dropna())
    return None if scalars else LogicalDtype.OTHER


def array_of_series(series: pd.Series, column: str, dtype: LogicalDtype) -> pa.Array:
    """Give the values of a pandas column as a reader would; training and prediction both come through here.

    Raises:
        TypeChanged: they are not of the type.
    """
    series = _plain(series)
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind == "empty" or (kind != "string" and bool(series.isna().all())):
        return pa.nulls(len(series), CANONICAL[dtype])
    if kind not in _ACCEPTS[dtype]:
        raise TypeChanged.of(column, expected=SPOKEN[dtype], got=_SPOKEN.get(kind, kind))
    if kind in _NUMBERS:
        return _numbers(series, column, dtype, kind)
    if dtype in {LogicalDtype.DATE, LogicalDtype.TIMESTAMP, LogicalDtype.TIMESTAMPTZ}:
        return _moments(series, column, dtype, kind)
    if dtype is LogicalDtype.TIME and any(value.tzinfo is not None for value in series.dropna()):
        # Arrow would leave the zone out silently.
        raise TypeChanged.of(column, expected=SPOKEN[dtype], got="times of day with a time zone")
    try:
        return pa.array(_without_nan_objects(series), type=CANONICAL[dtype], from_pandas=True)
    except UnicodeEncodeError as exc:
        raise Refused(
            f"Column {shown(column)!r} of the frame holds text that is no Unicode (half of a surrogate "
            "pair), which no table can hold; replace it, or leave the column out."
        ) from exc


def _plain(series: pd.Series) -> pd.Series:
    """Give a categorical's values, and a sparse column's with those that it leaves out."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.astype(object)
    return series.sparse.to_dense() if isinstance(series.dtype, pd.SparseDtype) else series


def _numbers(series: pd.Series, column: str, dtype: LogicalDtype, kind: str) -> pa.Array:
    if kind == "integer":
        try:
            array = pa.array(_without_nan_objects(series), type=pa.int64(), from_pandas=True)
        except (pa.ArrowInvalid, OverflowError) as exc:
            raise TypeChanged.of(column, expected=SPOKEN[dtype], got="integers beyond 64 bits") from exc
        return array if dtype is LogicalDtype.INTEGER else array.cast(CANONICAL[dtype], safe=False)
    series = series.where(series.notna(), np.nan) if series.dtype == object else series
    values = series.astype("float64").to_numpy(dtype=np.float64, na_value=np.nan)
    if dtype is not LogicalDtype.INTEGER:
        return pa.array(values, type=pa.float64(), from_pandas=True).cast(CANONICAL[dtype], safe=False)
    known = values[~np.isnan(values)]
    # 2**63 itself is a float64 that no 64-bit integer can be.
    if not ((known == np.floor(known)) & (np.abs(known) < 2.0**63)).all():
        raise TypeChanged.of(column, expected=SPOKEN[dtype], got="numbers with fractions")
    return pa.array(values, type=pa.float64(), from_pandas=True).cast(pa.int64(), safe=False)


def _without_nan_objects(series: pd.Series) -> pd.Series:
    """Give the series with None for every kind of missing object, which Arrow wants beside integers."""
    return series.where(series.notna(), None) if series.dtype == object else series


def _moments(series: pd.Series, column: str, dtype: LogicalDtype, kind: str) -> pa.Array:
    if kind == "date":
        return _dates(series, column)
    zoned = _zones(series)
    wanted = dtype is LogicalDtype.TIMESTAMPTZ
    if zoned != {wanted}:
        got = "timestamps some of which have a time zone"
        if len(zoned) == 1:
            got = SPOKEN[LogicalDtype.TIMESTAMP if wanted else LogicalDtype.TIMESTAMPTZ]
        raise TypeChanged.of(column, expected=SPOKEN[dtype], got=got)
    moments = pd.to_datetime(series, utc=wanted)
    array = pa.array(moments, from_pandas=True).cast(
        CANONICAL[LogicalDtype.TIMESTAMPTZ if wanted else LogicalDtype.TIMESTAMP], safe=False
    )
    if dtype is not LogicalDtype.DATE:
        return array
    dates = array.cast(pa.date32(), safe=False)
    if not pc.all(pc.equal(dates.cast(pa.timestamp("us")), array), min_count=0).as_py():
        raise TypeChanged.of(column, expected=SPOKEN[dtype], got="timestamps with a time of day")
    return dates


def _dates(series: pd.Series, column: str) -> pa.Array:
    # Arrow would cut the time of day off silently.
    if series.dtype == object and any(isinstance(value, datetime) for value in series.dropna()):
        raise TypeChanged.of(column, expected="dates", got="dates and timestamps mixed")
    return pa.array(_without_nan_objects(series), type=pa.date32(), from_pandas=True)


def _zones(series: pd.Series) -> set[bool]:
    """Give whether the moments have time zones: both, if some do and some do not."""
    if series.dtype != object:
        return {getattr(series.dt, "tz", None) is not None}
    return {moment.tzinfo is not None for moment in series.dropna()}
