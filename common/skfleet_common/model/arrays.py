"""Arrays: a column as a reader hands it over, checked against what the model was trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.refusals import MissingColumn, TypeChanged

#: Of double precision, but for features of estimators that take no more than single precision.
FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

#: What tree models cast their input to; whatever does not fit is of no use to any model.
LARGEST_NUMBER = float(np.finfo(np.float32).max)

#: Larger integers are not exact as float64, so two levels could become one.
LARGEST_LEVEL = 2**53

#: Names for people, who know neither Arrow nor our enum.
SPOKEN = {
    LogicalDtype.INTEGER: "whole numbers",
    LogicalDtype.FLOAT32: "single-precision numbers",
    LogicalDtype.FLOAT64: "double-precision numbers",
    LogicalDtype.DECIMAL: "decimal numbers",
    LogicalDtype.BOOLEAN: "booleans",
    LogicalDtype.TEXT: "text",
    LogicalDtype.DATE: "dates",
    LogicalDtype.TIME: "times of day",
    LogicalDtype.TIMESTAMP: "timestamps without a time zone",
    LogicalDtype.TIMESTAMPTZ: "timestamps with a time zone",
    LogicalDtype.OTHER: "values of another type",
}

_ACCEPTS: dict[LogicalDtype, Callable[[pa.DataType], bool]] = {
    LogicalDtype.INTEGER: pt.is_integer,
    # A client may have widened real to double; casting back gives the same bits.
    LogicalDtype.FLOAT32: lambda kind: bool(pt.is_float32(kind) or pt.is_float64(kind)),
    LogicalDtype.FLOAT64: pt.is_float64,
    LogicalDtype.DECIMAL: lambda kind: bool(pt.is_float64(kind) or pt.is_decimal(kind)),
    LogicalDtype.BOOLEAN: pt.is_boolean,
    LogicalDtype.TEXT: lambda kind: bool(
        pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)
    ),
    LogicalDtype.DATE: pt.is_date,
    LogicalDtype.TIME: pt.is_time,
    LogicalDtype.TIMESTAMP: lambda kind: bool(pt.is_timestamp(kind) and kind.tz is None),
    LogicalDtype.TIMESTAMPTZ: lambda kind: bool(pt.is_timestamp(kind) and kind.tz is not None),
}

#: One Arrow type a logical dtype, so that everything after this point sees no other.
CANONICAL: dict[LogicalDtype, pa.DataType] = {
    LogicalDtype.INTEGER: pa.int64(),
    LogicalDtype.FLOAT32: pa.float32(),
    LogicalDtype.FLOAT64: pa.float64(),
    LogicalDtype.DECIMAL: pa.float64(),
    LogicalDtype.BOOLEAN: pa.bool_(),
    LogicalDtype.TEXT: pa.string(),
    LogicalDtype.DATE: pa.date32(),
    LogicalDtype.TIME: pa.time64("us"),
    LogicalDtype.TIMESTAMP: pa.timestamp("us"),
    LogicalDtype.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
}


def canonical_array(source: pa.RecordBatch | pa.Table, column: str, dtype: LogicalDtype) -> pa.Array:
    """Give the column as one array of its dtype's only Arrow type.

    Raises:
        MissingColumn: it is not there.
        TypeChanged: it holds something else than in training.
        Refused: two columns have its name.
    """
    positions = source.schema.get_all_field_indices(column)
    if not positions:
        raise MissingColumn.called(column, source.schema.names)
    if len(positions) > 1:
        raise Refused(f"There are {len(positions)} columns called {column!r}; rename all but one.")
    array = source.column(positions[0])
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pt.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pt.is_null(array.type):
        return array.cast(CANONICAL[dtype])
    if not _ACCEPTS[dtype](array.type):
        raise TypeChanged.of(column, expected=SPOKEN[dtype], got=str(array.type))
    return array if array.type == CANONICAL[dtype] else _cast(array, column, dtype)


def _cast(array: pa.Array, column: str, dtype: LogicalDtype) -> pa.Array:
    if pt.is_decimal(array.type):
        # Arrow's own cast may be a bit off; a decimal's text becomes the nearest double, as in the warehouse.
        array = array.cast(pa.string())
    # Only what would not be the same value fails: integers and moments beyond 64 bits.
    is_coarse = pt.is_timestamp(array.type) and array.type.unit in {"s", "ms"}
    try:
        return array.cast(CANONICAL[dtype], safe=is_coarse or dtype is LogicalDtype.INTEGER)
    except pa.ArrowInvalid as exc:
        raise TypeChanged.of(column, expected=SPOKEN[dtype], got=f"{array.type} beyond 64 bits") from exc


def numbers(array: pa.Array) -> npt.NDArray[np.float64]:
    """Give numbers or booleans as float64, with NaN for NULL."""
    # Integers beyond 2**53 round to the nearest double, as they do in every client.
    values: npt.NDArray[np.float64] = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def missing(array: pa.Array) -> BoolArray | None:
    """Give where the array is NULL or NaN; None if nowhere."""
    if pt.is_floating(array.type):
        flags: BoolArray = np.isnan(numbers(array))
        return flags if flags.any() else None
    if array.null_count == 0:
        return None
    nulls: BoolArray = array.is_null().to_numpy(zero_copy_only=False)
    return nulls


def too_large(array: pa.Array) -> BoolArray | None:
    """Give where a number is infinite or too large for a model; None if nowhere."""
    if not pt.is_floating(array.type) or len(array) == 0:
        return None
    values = np.abs(numbers(array))
    if not np.fmax.reduce(values) > LARGEST_NUMBER:
        return None
    flags: BoolArray = values > LARGEST_NUMBER
    return flags


def level_codes(array: pa.Array, levels: pa.Array) -> npt.NDArray[np.int32]:
    """Give each value's position in ``levels``; ``len(levels)`` for an unseen one, one more for NULL."""
    found = pc.index_in(array, value_set=levels).fill_null(len(levels))
    codes: npt.NDArray[np.int32] = found.to_numpy(zero_copy_only=False)
    if array.null_count:
        codes = np.where(array.is_null().to_numpy(zero_copy_only=False), np.int32(len(levels) + 1), codes)
    return codes
