"""PostgreSQL's types: what their values are, and how they are read exactly."""

from __future__ import annotations

from psycopg2 import sql

from skfleet_common.contracts.columns import Column, LogicalDtype

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


def as_feature(column: Column) -> sql.Composed:
    """Give the SQL that reads a column as its logical dtype (see :class:`LogicalDtype`)."""
    return sql.Identifier(column.name) + _FEATURE_CAST.get(column.dtype, sql.SQL(""))


def as_text(name: str) -> sql.Composed:
    """Give the SQL that reads a column in the database's own output format."""
    return sql.SQL("{}::pg_catalog.text").format(sql.Identifier(name))


def key_literal(key: str, warehouse_type: str) -> sql.Composed:
    """Give a split key as a literal of its type, so that an index on the column serves."""
    return sql.SQL("CAST({} AS {})").format(sql.Literal(key), sql.SQL(warehouse_type))
