"""Split keys in counted bins: a sample says where to cut, one scan counts each bin exactly.

As in PostgreSQL, within what Redshift has: no ``width_bucket`` and no ``generate_series``, window functions
with a frame and without names. Keys are printed by the leader, never cast to text: a cast may round them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg2 import sql

from skfleet_common.contracts.columns import Column
from skfleet_common.tables.port import KeyHistogram, Selection
from skfleet_common.tables.redshift.connect import Cursor, Server
from skfleet_common.tables.redshift.cursors import stream, take_as_printed
from skfleet_common.tables.redshift.types import as_printed
from skfleet_common.tables.redshift.values import printed_text
from skfleet_common.tables.sql.bins import (
    BINS_A_CHUNK,
    SAMPLED_A_CHUNK,
    histogram,
    joined,
    refuse_unordered,
    search,
)
from skfleet_common.tables.sql.selection import column_of, from_selection

#: A statement is compiled, so that its arms cost time beyond their number; these serve 1,024 chunks. Plans of
#: more have coarser bins.
_MAX_BOUNDARIES = 8_192


def count_keys(server: Server, source: Selection, split_column: str, *, chunk_rows: int) -> KeyHistogram:
    """Give the bins in key order, in at most two scans of one snapshot.

    Raises:
        Refused: keys of the column's type have no order that ranges could use.
    """
    column = column_of(source.table, split_column)
    refuse_unordered(source, column)
    doing = f"counting the keys of {source.table.name}"
    if chunk_rows <= SAMPLED_A_CHUNK:  # the sample would be the table
        return joined(_every_key(server, source, column, doing), chunk_rows=chunk_rows)
    with server.transaction(doing) as cursor:
        take_as_printed(cursor)
        boundaries = _sample_boundaries(cursor, source, column, chunk_rows=chunk_rows)
        every = -(-len(boundaries) // _MAX_BOUNDARIES)
        return _count_bins(cursor, source, column, boundaries[:: max(1, every)])


def _every_key(
    server: Server, source: Selection, column: Column, doing: str
) -> Iterator[tuple[str | None, int]]:
    query = sql.SQL(
        "SELECT {printed}, n FROM (SELECT {key} AS k, count(*) AS n {selected} GROUP BY 1) counted ORDER BY k"
    ).format(
        printed=as_printed(column, sql.Identifier("k")),
        key=sql.Identifier(column.name),
        selected=from_selection(source),
    )
    for fetched in stream(server, query, doing):
        for key, rows in fetched:
            yield None if key is None else printed_text(key, column), int(rows or 0)


def _sample_boundaries(cursor: Cursor, source: Selection, column: Column, *, chunk_rows: int) -> list[str]:
    """Give distinct keys at every eighth of a chunk of a sample, in order."""
    step = SAMPLED_A_CHUNK // BINS_A_CHUNK
    key = sql.Identifier(column.name)
    cursor.execute("SET seed TO 0.5")  # the same table is cut the same way again
    # A key that fills a step alone (n >= step) is followed by a cut, so that it has a bin to itself.
    cursor.execute(
        sql.SQL(
            "SELECT {printed} FROM (SELECT k, n, "
            "CAST(sum(n) OVER (ORDER BY k ROWS UNBOUNDED PRECEDING) AS bigint) AS upto, "
            "lag(n) OVER (ORDER BY k) AS n_before "
            "FROM (SELECT {key} AS k, count(*) AS n {selected} GROUP BY 1) sampled) running "
            "WHERE (upto - n) / {step} <> upto / {step} OR n_before >= {step} ORDER BY k"
        ).format(
            printed=as_printed(column, sql.Identifier("k")),
            key=key,
            step=sql.Literal(step),
            selected=from_selection(
                source,
                sql.SQL("{} IS NOT NULL").format(key),
                sql.SQL("random() < {}").format(sql.Literal(SAMPLED_A_CHUNK / chunk_rows)),
            ),
        )
    )
    return [printed_text(key, column) for (key,) in cursor.fetchall()]


def _count_bins(cursor: Cursor, source: Selection, column: Column, boundaries: Sequence[str]) -> KeyHistogram:
    key = sql.Identifier(column.name)
    least = as_printed(column, sql.SQL("min({})").format(key))
    most = as_printed(column, sql.SQL("max({})").format(key))
    cursor.execute(
        sql.SQL(
            "SELECT CASE WHEN {key} IS NULL THEN -1 ELSE {search} END, {least}, {most}, count(*) "
            "{selected} GROUP BY 1 ORDER BY 1"
        ).format(
            key=key,
            search=search(key, column.warehouse_type, boundaries),
            least=least,
            most=most,
            selected=from_selection(source),
        )
    )
    return histogram(
        (None, "", "", int(rows))
        if first is None
        else (int(number), printed_text(first, column), printed_text(last, column), int(rows))
        for number, first, last, rows in cursor.fetchall()
    )
