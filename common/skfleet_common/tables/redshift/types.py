"""Redshift's types: what their values are, and how they are read exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.columns import Column, LogicalDtype, SourceTable
from skfleet_common.tables.sql.selection import Hashing, column_of, joined_texts

#: By what the catalogue calls them ("Data types").
_LOGICAL = {
    "smallint": LogicalDtype.INTEGER,
    "integer": LogicalDtype.INTEGER,
    "bigint": LogicalDtype.INTEGER,
    "real": LogicalDtype.FLOAT32,
    "double precision": LogicalDtype.FLOAT64,
    "numeric": LogicalDtype.DECIMAL,
    "boolean": LogicalDtype.BOOLEAN,
    "character varying": LogicalDtype.TEXT,
    "character": LogicalDtype.TEXT,
    "date": LogicalDtype.DATE,
    "time without time zone": LogicalDtype.TIME,
    "timestamp without time zone": LogicalDtype.TIMESTAMP,
    "timestamp with time zone": LogicalDtype.TIMESTAMPTZ,
}

#: Other spellings: of late-binding views, of external catalogues (Glue, Hive), and of people.
_ALSO = {
    "bool": "boolean", "bpchar": "character(256)", "char": "character", "decimal": "numeric",
    "double": "double precision", "float": "double precision", "float4": "real",
    "float8": "double precision", "int": "integer", "int2": "smallint", "int4": "integer", "int8": "bigint",
    "name": "character varying(128)", "nchar": "character", "nvarchar": "character varying",
    "string": "character varying", "text": "character varying", "time": "time without time zone",
    "timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone", "tinyint": "smallint", "varchar": "character varying",
}  # fmt: skip

#: What a type is when its size is not said: the longest text, a number with most digits on both sides.
_AT_LARGE = {"character varying": "65535", "character": "1", "numeric": "38,10"}

#: By the numbers under which a query's columns come (pg_type; those from 2935 on are Redshift's own).
_BY_NUMBER = {
    16: "boolean", 18: "character(1)", 19: "name", 20: "bigint", 21: "smallint", 23: "integer", 25: "text",
    26: "bigint", 700: "real", 701: "double precision", 1042: "character", 1043: "character varying",
    1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 1188: "interval year to month",
    1190: "interval day to second", 1266: "timetz", 1700: "numeric", 2935: "hllsketch", 3000: "geometry",
    3001: "geography", 4000: "super", 6551: "varbyte",
}  # fmt: skip

TYPE_NUMBERS = frozenset(_BY_NUMBER)

_SPELLED = re.compile(r"(?P<base>[a-z][a-z0-9 ]*?)\s*(?:\((?P<size>\s*\d+\s*(?:,\s*\d+\s*)?)\))?")


@dataclass(frozen=True)
class RedshiftType:
    """A type: as CREATE TABLE takes it, and what its values are."""

    spelled: str
    dtype: LogicalDtype


def read_type(spelled: str) -> RedshiftType:
    """Give the type that a catalogue, or a person, spells so."""
    found = _SPELLED.fullmatch(spelled.strip().lower())
    if found is None:
        return RedshiftType(spelled, LogicalDtype.OTHER)
    base, _, own_size = _ALSO.get(found["base"], found["base"]).partition("(")
    size = found["size"] or own_size.removesuffix(")") or _AT_LARGE.get(base)
    written = f"{base}({size.replace(' ', '')})" if size else base
    return RedshiftType(written, _LOGICAL.get(base, LogicalDtype.OTHER))


def type_numbered(
    number: int, *, length: int | None, precision: int | None, scale: int | None
) -> RedshiftType:
    """Give the type of a query's column, as the driver describes it."""
    base = _BY_NUMBER.get(number, "unknown")
    if base == "numeric" and precision not in {None, 65535}:
        return read_type(f"numeric({precision},{scale})")
    if base in {"character", "character varying"} and length is not None and length > 0:
        return read_type(f"{base}({length})")
    return read_type(base)


def as_printed(column: Column, expression: sql.Composable | None = None) -> sql.Composable:
    """Give the SQL that reads a column, or an expression of its values, so that it is printed exactly.

    A real is printed with eight digits at most and may need nine; as a double it is the same value, exactly.
    """
    value = sql.Identifier(column.name) if expression is None else expression
    if column.dtype is LogicalDtype.FLOAT32:
        return sql.SQL("CAST({} AS double precision)").format(value)
    return value


def as_text(column: Column) -> sql.Composable:
    """Give the SQL of a column's text, for a digest.

    Redshift casts no boolean to text ("Type compatibility and conversion").
    """
    name = sql.Identifier(column.name)
    if column.dtype is LogicalDtype.BOOLEAN:
        return sql.SQL("CASE WHEN {0} THEN 'true' WHEN NOT {0} THEN 'false' END").format(name)
    return sql.SQL("CAST({} AS varchar)").format(name)


def key_hashing(table: SourceTable) -> Hashing:
    """Give how columns of a table's row are hashed: the first 32 bits of a digest of their texts."""

    def key_hash(names: Sequence[str]) -> sql.Composable:
        texts = [as_text(column_of(table, name)) for name in names]
        return sql.SQL("strtol(left(md5({}), 8), 16)").format(joined_texts(texts))

    return key_hash
