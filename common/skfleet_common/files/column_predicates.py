"""Predicates of one column: what conditions are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.files.compared import Value, compared
from skfleet_common.files.predicates import AskedRows, Bounds, Possible


@dataclass(frozen=True)
class _OfColumn:
    column: str

    @property
    def columns(self) -> frozenset[str]:
        """Its column alone."""
        return frozenset({self.column})

    @property
    def quoted(self) -> str:
        """The column's name as SQL writes it."""
        return '"' + self.column.replace('"', '""') + '"'


@dataclass(frozen=True)
class Comparison(_OfColumn):
    """A column compared with a value."""

    operator: str
    value: Value
    #: The value as SQL writes it.
    literal: str

    def truths(self, rows: AskedRows) -> pa.BooleanArray:
        """Compare each value; NULL of a NULL."""
        return compared(rows.column(self.column), self.operator, self.value)

    def possible(self, bounds: Mapping[str, Bounds]) -> Possible:
        """Compare the smallest value and the largest."""
        known = bounds.get(self.column, Bounds())
        if not known.may_be_value:
            return Possible(true=False, false=False, null=known.may_be_null)
        true, false = (True, True) if known.ends is None else _of_ends(known.ends, self.operator, self.value)
        return Possible(true=true, false=false, null=known.may_be_null)

    def __str__(self) -> str:
        """Give it as SQL."""
        return f"({self.quoted} {self.operator} {self.literal})"


@dataclass(frozen=True)
class Like(_OfColumn):
    """A text of a pattern: ``%`` is any text, ``_`` any character, a backslash takes the next as it is."""

    pattern: str
    literal: str

    def truths(self, rows: AskedRows) -> pa.BooleanArray:
        """Match each text; NULL of a NULL."""
        return pc.match_like(rows.column(self.column), self.pattern)

    def possible(self, bounds: Mapping[str, Bounds]) -> Possible:
        """Of texts, any may be."""
        known = bounds.get(self.column, Bounds())
        return Possible(true=known.may_be_value, false=known.may_be_value, null=known.may_be_null)

    def __str__(self) -> str:
        """Give it as SQL."""
        return f"({self.quoted} LIKE {self.literal})"


@dataclass(frozen=True)
class Flag(_OfColumn):
    """A boolean column by itself."""

    def truths(self, rows: AskedRows) -> pa.BooleanArray:
        """Give the values."""
        return rows.column(self.column)

    def possible(self, bounds: Mapping[str, Bounds]) -> Possible:
        """Give which values there may be."""
        return Comparison(self.column, "=", value=True, literal="TRUE").possible(bounds)

    def __str__(self) -> str:
        """Give it as SQL."""
        return self.quoted


@dataclass(frozen=True)
class IsNull(_OfColumn):
    """Whether a column is NULL, which is never unknown."""

    def truths(self, rows: AskedRows) -> pa.BooleanArray:
        """Look at each value."""
        return pc.is_null(rows.column(self.column))

    def possible(self, bounds: Mapping[str, Bounds]) -> Possible:
        """Tell from how many NULLs there are."""
        known = bounds.get(self.column, Bounds())
        return Possible(true=known.may_be_null, false=known.may_be_value, null=False)

    def __str__(self) -> str:
        """Give it as SQL."""
        return f"({self.quoted} IS NULL)"


def _of_ends(ends: pa.Array, operator: str, value: Value) -> tuple[bool, bool]:
    """Give whether a comparison may be true, and false, of values between two ends."""
    if operator == "<>":
        true, false = _of_ends(ends, "=", value)
        return false, true
    if operator == "=":
        is_below = compared(ends, "<=", value)[0].as_py()
        is_above = compared(ends, ">=", value)[1].as_py()
        return is_below and is_above, not all(compared(ends, "=", value).to_pylist())
    smallest, largest = compared(ends, operator, value).to_pylist()
    return (smallest, not largest) if operator in {"<", "<="} else (largest, not smallest)
