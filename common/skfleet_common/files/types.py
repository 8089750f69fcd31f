"""Types of files' columns: what a warehouse would call them."""

from __future__ import annotations

from skfleet_common.contracts.columns import Column, LogicalDtype

#: As PostgreSQL spells them: a model that was trained on a file scores its tables.
WAREHOUSE_TYPES = {
    LogicalDtype.INTEGER: "bigint",
    LogicalDtype.FLOAT32: "real",
    LogicalDtype.FLOAT64: "double precision",
    LogicalDtype.DECIMAL: "numeric",
    LogicalDtype.BOOLEAN: "boolean",
    LogicalDtype.TEXT: "text",
    LogicalDtype.DATE: "date",
    LogicalDtype.TIME: "time without time zone",
    LogicalDtype.TIMESTAMP: "timestamp without time zone",
    LogicalDtype.TIMESTAMPTZ: "timestamp with time zone",
}


def file_column(name: str, dtype: LogicalDtype, *, nullable: bool = True) -> Column:
    """Give a column of a file, in which any value may be missing unless it says otherwise."""
    return Column(name=name, warehouse_type=WAREHOUSE_TYPES[dtype], dtype=dtype, nullable=nullable)
