"""Bins of split keys: a search among boundaries as SQL, and neighbours joined.

The database alone orders keys: no client knows its collations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg2 import sql

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.port import KeyBin, KeyHistogram, Selection
from skfleet_common.tables.sql.selection import key_literal

#: 400 sampled keys put a chunk's size within about 5 % (one over their square root).
SAMPLED_A_CHUNK = 400

#: Merging eighths keeps the rounding of a chunk's edges below a sixteenth of it.
BINS_A_CHUNK = 8

#: Types without a logical dtype that have an order all the same.
_ORDERED = frozenset({"uuid"})


def refuse_unordered(source: Selection, column: Column) -> None:
    """Refuse a split column whose keys have no order that ranges could use."""
    is_ordered = column.dtype not in {LogicalDtype.BOOLEAN, LogicalDtype.OTHER}
    if not (is_ordered or column.warehouse_type in _ORDERED):
        raise Refused(
            f"{column.name} of {source.table.name} is {column.warehouse_type}, which has no ranges; "
            "give a number, text, uuid, date or timestamp with --split-column."
        )


def search(key: sql.Composable, warehouse_type: str, boundaries: Sequence[str]) -> sql.Composable:
    """Give a balanced binary search for the number of boundaries at or below the key."""
    if not boundaries:
        return sql.SQL("0")
    return _search(key, warehouse_type, boundaries, 0, len(boundaries))


def _search(
    key: sql.Composable, warehouse_type: str, boundaries: Sequence[str], low: int, high: int
) -> sql.Composable:
    if low == high:
        return sql.SQL(str(low))
    middle = (low + high) // 2
    return sql.SQL("CASE WHEN {} < {} THEN {} ELSE {} END").format(
        key,
        key_literal(boundaries[middle], warehouse_type),
        _search(key, warehouse_type, boundaries, low, middle),
        _search(key, warehouse_type, boundaries, middle + 1, high),
    )


def joined(counted: Iterable[tuple[str | None, int]], *, chunk_rows: int) -> KeyHistogram:
    """Join neighbours among keys that come in order, each with its rows, up to an eighth of a chunk."""
    limit = max(1, chunk_rows // BINS_A_CHUNK)
    bins: list[KeyBin] = []
    null_rows = 0
    for key, rows in counted:
        if key is None:
            null_rows = rows
        elif bins and bins[-1].rows + rows <= limit:
            bins[-1] = KeyBin(first=bins[-1].first, last=key, rows=bins[-1].rows + rows)
        else:
            bins.append(KeyBin(first=key, last=key, rows=rows))
    return KeyHistogram(bins=tuple(bins), null_rows=null_rows)


def histogram(counted: Iterable[tuple[int | None, str, str, int]]) -> KeyHistogram:
    """Give the bins that were counted: number, first key, last key and rows; no number for NULL keys."""
    bins, null_rows = [], 0
    for number, first, last, rows in counted:
        if number is None:
            null_rows = rows
        else:
            bins.append(KeyBin(first=first, last=last, rows=rows))
    return KeyHistogram(bins=tuple(bins), null_rows=null_rows)
