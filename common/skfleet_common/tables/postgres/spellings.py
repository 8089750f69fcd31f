"""Spellings of types: what the catalogue may call a type that was written in one of its ways."""

from __future__ import annotations

from skfleet_common.tables.postgres.connect import Cursor


def spellings(cursor: Cursor, warehouse_type: str) -> set[str]:
    """Give what format_type may call a type: as written, or by its full name (``int8`` → ``bigint``)."""
    cursor.execute("SELECT pg_catalog.format_type(pg_catalog.to_regtype(%s), NULL)", (warehouse_type,))
    (full,) = cursor.fetchone() or (warehouse_type,)
    return {warehouse_type} if "(" in warehouse_type else {warehouse_type, full}
