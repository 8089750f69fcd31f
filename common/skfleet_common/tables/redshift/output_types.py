"""Types of output columns: what each is in the table, and what the text of a value becomes there.

A worker writes ids and carried columns as text, whatever their type, and what a model gives with its own
type. COPY of Parquet converts nothing ("COPY from columnar data formats", Amazon Redshift guide), so text is
loaded as text and becomes what it was on its way from there into the table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import OutputColumn

#: Redshift's longest ("Character types").
MAX_VARCHAR_BYTES = 65_535

_WRITTEN = re.compile(
    r"(?P<base>[a-z][a-z0-9 ]*?)\s*(?:\(\s*(?P<sizes>\d+(?:\s*,\s*\d+)?)\s*\))?", re.IGNORECASE
)

#: Every way to write a type that a table may have and that text can be turned into ("Data types").
_BASES = {
    "smallint": "smallint", "int2": "smallint",
    "integer": "integer", "int": "integer", "int4": "integer",
    "bigint": "bigint", "int8": "bigint",
    "numeric": "numeric", "decimal": "numeric",
    "real": "real", "float4": "real",
    "double precision": "double precision", "float8": "double precision", "float": "double precision",
    "boolean": "boolean", "bool": "boolean",
    "character": "character", "char": "character", "nchar": "character", "bpchar": "character",
    "character varying": "character varying", "varchar": "character varying", "nvarchar": "character varying",
    "text": "character varying",
    "date": "date",
    "time": "time without time zone", "time without time zone": "time without time zone",
    "timetz": "time with time zone", "time with time zone": "time with time zone",
    "timestamp": "timestamp without time zone", "timestamp without time zone": "timestamp without time zone",
    "timestamptz": "timestamp with time zone", "timestamp with time zone": "timestamp with time zone",
    "super": "super",
}  # fmt: skip

#: What a type is without its sizes. A model's ``text`` has no limit; Redshift's own would have 256 bytes.
_SIZES = {"char": (1,), "character": (1,), "nchar": (1,), "bpchar": (256,), "varchar": (256,),
          "nvarchar": (256,), "character varying": (256,), "text": (MAX_VARCHAR_BYTES,)}  # fmt: skip

_TEXTS = frozenset({"character", "character varying"})


@dataclass(frozen=True)
class OutputType:
    """A type of Redshift, by its one full name."""

    base: str
    sizes: tuple[int, ...]
    #: Whether it was written without a limit to its length.
    is_boundless: bool = False

    def __str__(self) -> str:
        """Give it as CREATE TABLE takes it and as the catalogue spells it."""
        return f"{self.base}({','.join(map(str, self.sizes))})" if self.sizes else self.base

    def goes_into(self, other: OutputType) -> bool:
        """Whether every value goes into a column of another type as it is, or is refused there."""
        if self.base != other.base:
            return False
        if self.base in _TEXTS:
            return self.is_boundless or self.sizes <= other.sizes
        return self.sizes == other.sizes


def type_of(column: OutputColumn) -> OutputType:
    """Read a column's type; the names are put into statements, so each must be exactly one type's.

    Raises:
        Refused: Redshift has none of that name, or none into which text can be turned.
    """
    found = read_type(column.warehouse_type)
    if found is None:
        raise Refused(
            f"The output column {column.name} has the type {column.warehouse_type}, which skfleet cannot "
            "write to Redshift; leave it out of --columns, or cast it in a view of the source."
        )
    if found.base == "numeric" and not found.sizes:
        raise Refused(
            f"The output column {column.name} is numeric without precision, which Redshift would round to "
            "whole numbers; give it one in the source, such as numeric(38,10)."
        )
    return found


def read_type(written: str) -> OutputType | None:
    """Read a type as people or catalogues write it; None for what is no type here."""
    found = _WRITTEN.fullmatch(written.strip())
    name = "" if found is None else found["base"].lower()
    base = _BASES.get(name)
    if found is None or base is None:
        return None
    sizes = tuple(int(size) for size in (found["sizes"] or "").split(",") if size)
    if base == "numeric" and len(sizes) == 1:
        sizes = (*sizes, 0)
    return OutputType(base, sizes or _SIZES.get(name, ()), is_boundless=name == "text")


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
    return sql.SQL("CAST({} AS {})").format(name, sql.SQL(str(kind)))
