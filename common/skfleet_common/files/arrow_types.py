"""Arrow's types: what the values of a file's column are, and how they are read exactly."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as pt

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.files.types import file_column

_TESTS = (
    (pt.is_boolean, LogicalDtype.BOOLEAN),
    (pt.is_integer, LogicalDtype.INTEGER),
    (pt.is_float16, LogicalDtype.FLOAT32),
    (pt.is_float32, LogicalDtype.FLOAT32),
    (pt.is_float64, LogicalDtype.FLOAT64),
    (pt.is_decimal, LogicalDtype.DECIMAL),
    (pt.is_string, LogicalDtype.TEXT),
    (pt.is_large_string, LogicalDtype.TEXT),
    (pt.is_string_view, LogicalDtype.TEXT),
    # Nothing but NULLs.
    (pt.is_null, LogicalDtype.TEXT),
    (pt.is_date, LogicalDtype.DATE),
    (pt.is_time, LogicalDtype.TIME),
)

_CASTS = {
    LogicalDtype.INTEGER: pa.int64(),
    LogicalDtype.FLOAT32: pa.float32(),
    LogicalDtype.TEXT: pa.string(),
    LogicalDtype.DATE: pa.date32(),
}


def dtype_of(kind: pa.DataType) -> LogicalDtype:
    """Give what the values of an Arrow type are."""
    if isinstance(kind, pa.BaseExtensionType):
        return LogicalDtype.BOOLEAN if kind == pa.bool8() else LogicalDtype.OTHER
    if pt.is_dictionary(kind) or pt.is_run_end_encoded(kind):
        return dtype_of(kind.value_type)
    if pt.is_timestamp(kind):
        return LogicalDtype.TIMESTAMP if kind.tz is None else LogicalDtype.TIMESTAMPTZ
    return next((dtype for test, dtype in _TESTS if test(kind)), LogicalDtype.OTHER)


def column_of_field(field: pa.Field) -> Column:
    """Give the column that a field of a schema is."""
    dtype = dtype_of(field.type)
    if dtype is LogicalDtype.OTHER:
        return Column(name=field.name, warehouse_type=str(field.type), dtype=dtype, nullable=field.nullable)
    column = file_column(field.name, dtype, nullable=field.nullable)
    is_category = dtype is LogicalDtype.INTEGER and pt.is_dictionary(field.type)
    return column.model_copy(update={"is_category": True}) if is_category else column


def as_read(array: pa.Array, dtype: LogicalDtype, *, column: str, label: str) -> pa.Array:
    """Give a column of :func:`dtype_of` its type as a reader hands it over.

    Raises:
        Refused: a value is beyond what the type can hold.
    """
    if isinstance(array.type, pa.BaseExtensionType):
        return array.cast(pa.bool_())
    if pt.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pt.is_run_end_encoded(array.type):
        array = pa.compute.run_end_decode(array)
    try:
        return _cast(array, dtype)
    except pa.ArrowInvalid as exc:
        what = "integers beyond 64 bits" if dtype is LogicalDtype.INTEGER else "moments beyond all calendars"
        raise Refused(
            f"{label}: column {column!r} holds {what}; correct them, or train without it "
            f"(--exclude {column})."
        ) from exc


def _cast(array: pa.Array, dtype: LogicalDtype) -> pa.Array:
    kind = array.type
    if pt.is_decimal(kind):
        # Arrow's own cast of a decimal divides, and is often the double beside the nearest one.
        return array.cast(pa.string()).cast(pa.float64())
    if pt.is_timestamp(kind):
        # Nanoseconds are cut; coarser units may hold moments that microseconds cannot.
        return array.cast(pa.timestamp("us", tz=kind.tz and "UTC"), safe=kind.unit != "ns")
    if pt.is_time(kind):
        return array.cast(pa.time64("us"), safe=False)
    return array if dtype not in _CASTS else array.cast(_CASTS[dtype])
