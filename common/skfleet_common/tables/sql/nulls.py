"""Rows, and NULLs by column, in one scan."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg2.extensions
from psycopg2 import sql

from skfleet_common.tables.port import Selection
from skfleet_common.tables.sql.selection import column_of, from_selection


def count_nulls(
    cursor: psycopg2.extensions.cursor, source: Selection, columns: Sequence[str]
) -> tuple[int, dict[str, int]]:
    """Give the selected rows, and how many of them are NULL in each of ``columns``."""
    counts = [
        sql.SQL("count({})").format(sql.Identifier(column_of(source.table, name).name)) for name in columns
    ]
    cursor.execute(
        sql.SQL("SELECT {} {}").format(
            sql.SQL(", ").join([sql.SQL("count(*)"), *counts]), from_selection(source)
        )
    )
    rows, *present = cursor.fetchone() or (0, *(0 for _ in columns))
    return rows, {name: rows - found for name, found in zip(columns, present, strict=True)}
