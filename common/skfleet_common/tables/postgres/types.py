"""PostgreSQL's types: what their values are, and how they are read exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence

from psycopg2 import sql

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.tables.sql.selection import joined_texts

#: By pg_type.typname, for types of pg_catalog.
_BUILT_IN = {
    "int2": LogicalDtype.INTEGER,
    "int4": LogicalDtype.INTEGER,
    "int8": LogicalDtype.INTEGER,
    "float4": LogicalDtype.FLOAT32,
    "float8": LogicalDtype.FLOAT64,
    "numeric": LogicalDtype.DECIMAL,
    "bool": LogicalDtype.BOOLEAN,
    "text": LogicalDtype.TEXT,
    "varchar": LogicalDtype.TEXT,
    "bpchar": LogicalDtype.TEXT,
    "name": LogicalDtype.TEXT,
    "date": LogicalDtype.DATE,
    "time": LogicalDtype.TIME,
    "timestamp": LogicalDtype.TIMESTAMP,
    "timestamptz": LogicalDtype.TIMESTAMPTZ,
}

#: What a feature is cast to in SQL, where the driver's own mapping is not the contract's.
_FEATURE_CAST = {
    LogicalDtype.DECIMAL: sql.SQL("::pg_catalog.float8"),
    LogicalDtype.TEXT: sql.SQL("::pg_catalog.text"),
    LogicalDtype.OTHER: sql.SQL("::pg_catalog.text"),
}


def logical_dtype(typname: str, *, built_in: bool, is_enum: bool) -> LogicalDtype:
    """Give what the values of a type (a domain's base type) are."""
    if is_enum or typname == "citext":
        return LogicalDtype.TEXT
    return _BUILT_IN.get(typname, LogicalDtype.OTHER) if built_in else LogicalDtype.OTHER


#: A numeric of such a type always fits a double: below 10**308, and no smaller than 10**-323 unless zero.
_FITTING_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
_MOST_DIGITS, _MOST_DECIMALS = 308, 323

#: Beyond doubles the cast would fail the whole statement: such a numeric reads as what it rounds to.
_ROUNDED = sql.SQL(
    "CASE WHEN {0} BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308 "
    "THEN CASE WHEN {0} BETWEEN -2.4703282292062328e-324 AND 2.4703282292062328e-324 "
    "THEN 0::pg_catalog.float8 ELSE {0}::pg_catalog.float8 END "
    "WHEN {0} < 0 THEN '-Infinity'::pg_catalog.float8 "
    "WHEN {0} = 'NaN'::pg_catalog.numeric THEN 'NaN'::pg_catalog.float8 "
    "WHEN {0} > 0 THEN 'Infinity'::pg_catalog.float8 END"
)


def as_feature(column: Column) -> sql.Composed:
    """Give the SQL that reads a column as its logical dtype (see :class:`LogicalDtype`)."""
    if column.dtype is LogicalDtype.DECIMAL and not _fits_a_double(column.warehouse_type):
        return _ROUNDED.format(sql.Identifier(column.name))
    return sql.Identifier(column.name) + _FEATURE_CAST.get(column.dtype, sql.SQL(""))


def _fits_a_double(warehouse_type: str) -> bool:
    found = _FITTING_NUMERIC.fullmatch(warehouse_type)
    if found is None:
        return False
    precision, scale = int(found[1]), int(found[2])
    return precision - scale <= _MOST_DIGITS and scale <= _MOST_DECIMALS


def as_text(name: str) -> sql.Composed:
    """Give the SQL that reads a column in the database's own output format."""
    return sql.SQL("{}::pg_catalog.text").format(sql.Identifier(name))


def key_hash(names: Sequence[str]) -> sql.Composable:
    """Give the hash of some columns of a row: the first 32 bits of a digest of their texts."""
    return sql.SQL("('x' || left(pg_catalog.md5({}), 8))::bit(32)::bigint").format(
        joined_texts([as_text(name) for name in names])
    )
