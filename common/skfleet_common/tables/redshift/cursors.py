"""Rows as they are printed, some thousands at a time, through the one cursor that a session may have.

The leader keeps the whole result until the last row is fetched ("DECLARE"); this side holds one fetch of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import UNICODE, register_type

from skfleet_common.contracts.errors import UnreadableValue
from skfleet_common.tables.redshift.connect import Cursor, Server
from skfleet_common.tables.redshift.types import TYPE_NUMBERS

#: Larger fetches are no faster, and cost memory (ten thousand rows of 20 columns take about 15 MB as text).
FETCH_ROWS = 10_000

#: A cluster of a single node gives only so many at a time ("DECLARE").
SINGLE_NODE_ROWS = 1_000
_LIMIT = re.compile(r"exceeds the limit of (?P<rows>\d+)")

Printed = str | None
Row = tuple[Printed, ...]


class _FetchedTooMany(Exception):
    """The first fetch asked for more rows than this cluster gives at a time."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


def take_as_printed(cursor: Cursor) -> Cursor:
    """Let a cursor give every value as the server prints it, whatever its type."""
    register_type(UNICODE, cursor)  # which gives the cursor a mapping of its own
    types: dict[int, Any] = cursor.string_types or {}
    types.update(dict.fromkeys(TYPE_NUMBERS, UNICODE))
    return cursor


def stream(
    server: Server, query: sql.Composable, doing: str, *, rows: int = FETCH_ROWS
) -> Iterator[list[Row]]:
    """Give what a query selects, at most ``rows`` at a time, in a read-only transaction of its own.

    Closing the iterator early ends the transaction and closes the connection.

    Raises:
        UnreadableValue: a text is no UTF-8, or a value cannot be computed.
        SkfleetError: see :meth:`Server.transaction`.
    """
    try:
        yield from _stream(server, query, doing, rows)
    except _FetchedTooMany as limit:
        yield from _stream(server, query, doing, limit.most)


def _stream(server: Server, query: sql.Composable, doing: str, rows: int) -> Iterator[list[Row]]:
    with server.transaction(doing) as cursor:
        yield from fetches(take_as_printed(cursor), query, doing, rows=rows)


def fetches(cursor: Cursor, query: sql.Composable, doing: str, *, rows: int) -> Iterator[list[Row]]:
    """Give what a query selects, at most ``rows`` at a time, through the cursor of this transaction."""
    cursor.execute(sql.SQL("DECLARE skfleet_rows CURSOR FOR {}").format(query))
    while fetched := _fetch(cursor, doing, rows):
        yield fetched
        if len(fetched) < rows:
            break


def _fetch(cursor: Cursor, doing: str, rows: int) -> list[Row]:
    try:
        cursor.execute(f"FETCH FORWARD {rows:d} FROM skfleet_rows")
        return cursor.fetchall()
    except psycopg2.Error as exc:
        limit = _LIMIT.search(str(exc))
        if limit is None:
            raise
        raise _FetchedTooMany(int(limit["rows"])) from exc
    except UnicodeDecodeError as exc:
        error = UnreadableValue(f"A text is no UTF-8 while {doing}; mend the rows or the request.")
        error.condition = "character not in repertoire"
        raise error from exc
