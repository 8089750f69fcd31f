"""Comparing: values of files' columns with a literal, as PostgreSQL compares them.

Two things are told otherwise. NaN counts as NULL, as it does to a model. Texts are compared by their bytes,
as under the collation "C".
"""

from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.files.arrow_types import as_read, dtype_of

#: What a literal is, once it is read as its column's type.
Value = Decimal | str | bool | date | datetime | time

_COMPARE = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
#: What is true of every number that is below the literal, and of every one that is above.
_TRUE_BELOW = {"<", "<=", "<>"}
_TRUE_ABOVE = {">", ">=", "<>"}


def comparable(array: pa.Array, *, column: str, label: str) -> pa.Array:
    """Give a file's column as it is compared: one type for each :class:`LogicalDtype`, NULL for NaN.

    Raises:
        Refused: a value is beyond what the type can hold.
    """
    dtype = dtype_of(array.type)
    if dtype is LogicalDtype.DECIMAL:
        return _plain(array)
    array = as_read(array, dtype, column=column, label=label)
    if not pt.is_floating(array.type):
        return array
    array = array.cast(pa.float64())
    return pc.if_else(pc.is_nan(array), pa.scalar(None, pa.float64()), array)


def compared(array: pa.Array, operator: str, value: Value) -> pa.BooleanArray:
    """Give, of values as :func:`comparable` gives them, whether each compares so; NULL of a NULL."""
    if isinstance(value, Decimal):
        if pt.is_floating(array.type):
            return _COMPARE[operator](array, pa.scalar(float(value), pa.float64()))
        return _on_grid(array, operator, value)
    return _COMPARE[operator](array, pa.scalar(value, array.type))


def nearest_real(value: Decimal) -> Decimal:
    """Give the number of single precision that a text stands for beside such a column."""
    return Decimal(float(np.float32(str(value))))


def _on_grid(array: pa.Array, operator: str, value: Decimal) -> pa.BooleanArray:
    """Compare integers, or decimals of one scale, with a number that may lie between two, or beyond all."""
    is_decimal = pt.is_decimal(array.type)
    scale = array.type.scale if is_decimal else 0
    most = 10**array.type.precision - 1 if is_decimal else 2**63 - 1
    least = -most if is_decimal else -(2**63)
    steps = Fraction(value) * Fraction(10) ** scale
    if steps.denominator > 1 and operator in {"=", "<>"}:
        return _always(array, operator == "<>")
    place = math.ceil(steps) if operator in {"<", ">="} else math.floor(steps)
    if place > most:
        return _always(array, operator in _TRUE_BELOW)
    if place < least:
        return _always(array, operator in _TRUE_ABOVE)
    # From its digits: arithmetic would round to the context's precision.
    digits = tuple(int(digit) for digit in str(abs(place)))
    number = Decimal((int(place < 0), digits, -scale)) if is_decimal else place
    return _COMPARE[operator](array, pa.scalar(number, array.type))


def _always(array: pa.Array, truth: bool) -> pa.BooleanArray:
    return pc.if_else(pc.is_null(array), pa.scalar(None, pa.bool_()), pa.scalar(truth))


def _plain(array: pa.Array) -> pa.Array:
    if pt.is_dictionary(array.type):
        return array.dictionary_decode()
    return pc.run_end_decode(array) if pt.is_run_end_encoded(array.type) else array
