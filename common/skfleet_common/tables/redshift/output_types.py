"""Types of output columns: what each is in the table, and what the text of a value becomes there.

A worker writes ids and carried columns as text, whatever their type, and what a model gives with its own
type. COPY of Parquet converts nothing ("COPY from columnar data formats", Amazon Redshift guide), so text is
loaded as text and becomes what it was on its way from there into the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.tables.redshift.types import read_type

#: Redshift's longest ("Character types").
MAX_VARCHAR_BYTES = 65_535

#: Types of which a value's text says all, and into which text can be turned ("Data types").
_WRITABLE = frozenset(
    {"smallint", "integer", "bigint", "real", "double precision", "numeric", "boolean", "character varying",
     "character", "date", "time without time zone", "time with time zone", "timestamp without time zone",
     "timestamp with time zone", "interval day to second", "interval year to month", "super"}
)  # fmt: skip

_TEXTS = frozenset({"character", "character varying"})


@dataclass(frozen=True)
class OutputType:
    """A type of Redshift, by its one full name."""

    base: str
    sizes: tuple[int, ...]

    def __str__(self) -> str:
        """Give it as CREATE TABLE takes it and as the catalogue spells it."""
        return f"{self.base}({','.join(map(str, self.sizes))})" if self.sizes else self.base

    def goes_into(self, other: OutputType) -> bool:
        """Whether every value goes into a column of another type as it is, or is refused there."""
        if self.base != other.base:
            return False
        if self.base in _TEXTS:
            # What a model says has no length of its own; the longest there is stands for that.
            return self.sizes == (MAX_VARCHAR_BYTES,) or self.sizes <= other.sizes
        return self.sizes == other.sizes


def type_of(column: OutputColumn) -> OutputType:
    """Read a column's type; the names are put into statements, so each must be exactly one type's.

    Raises:
        Refused: Redshift has none of that name, or none into which text can be turned.
    """
    found = spelled_type(column.warehouse_type)
    if found.base not in _WRITABLE:
        raise Refused(
            f"The output column {column.name} has the type {column.warehouse_type}, which skfleet cannot "
            "write to Redshift; leave it out of --columns, or cast it in a view of the source."
        )
    if found.base == "numeric" and "(" not in column.warehouse_type:
        raise Refused(
            f"The output column {column.name} is numeric without precision, which Redshift would round to "
            "whole numbers; give it one in the source, such as numeric(38,10)."
        )
    return found


def spelled_type(spelled: str) -> OutputType:
    """Read a type as the catalogue, or a person, spells it."""
    base, _, sizes = read_type(spelled).spelled.removesuffix(")").partition("(")
    return OutputType(base, tuple(int(size) for size in sizes.split(",") if size.isdigit()))


def is_verbatim(column: OutputColumn) -> bool:
    """Whether a worker writes the text of the column's values."""
    return column.source in {"id", "carried"}


def loaded_columns(columns: Sequence[OutputColumn]) -> sql.Composed:
    """Give the columns of the table that COPY loads: what is in the files, and nothing more."""
    text = f"character varying({MAX_VARCHAR_BYTES})"
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(column.name), sql.SQL(text if is_verbatim(column) else str(type_of(column)))
        )
        for column in columns
    )


def values(columns: Sequence[OutputColumn]) -> sql.Composed:
    """Give what makes the values of the output of what was loaded, in order."""
    return sql.SQL(", ").join(_value(column) for column in columns)


def _value(column: OutputColumn) -> sql.Composable:
    name, kind = sql.Identifier(column.name), type_of(column)
    if not is_verbatim(column) or kind.base in _TEXTS:
        # No cast: it would cut what is too long, where the assignment refuses it.
        return name
    if kind.base == "super":
        return sql.SQL("JSON_PARSE({})").format(name)
    if kind.base == "boolean":
        # Redshift casts no text to boolean. What is neither word fails to be a number.
        return sql.SQL(
            "CAST(CASE WHEN {0} IN ('t', 'true') THEN 1 WHEN {0} IN ('f', 'false') THEN 0 "
            "ELSE CAST({0} AS integer) END AS boolean)"
        ).format(name)
    if kind.base in {"real", "double precision"}:
        # The spelling that PostgreSQL 8.0, and so Redshift, knows on every platform.
        spelled = sql.SQL("CASE {0} WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity' ELSE {0} END")
        return sql.SQL("CAST({} AS {})").format(spelled.format(name), sql.SQL(str(kind)))
    return sql.SQL("CAST({} AS {})").format(name, sql.SQL(str(kind)))
