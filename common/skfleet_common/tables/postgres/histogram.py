"""Split keys in counted bins: a sample says where to cut, one scan counts each bin exactly.

Equal-width ranges of real keys are off by a factor of 7 to 20. Quantiles of a sample are not, and whatever
the sample's luck, the counts are exact. The database alone orders keys: no client knows its collations.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from skfleet_common.contracts.columns import Column
from skfleet_common.tables.port import KeyHistogram, Selection
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.bins import (
    BINS_A_CHUNK,
    SAMPLED_A_CHUNK,
    histogram,
    joined,
    refuse_unordered,
    search,
)
from skfleet_common.tables.sql.selection import column_of, from_selection

#: More arms than this make the counting CASE slower than sorting all keys once.
_MAX_BOUNDARIES = 20_000

#: Rows fetched at a time from a server-side cursor.
_FETCH = 10_000


def count_keys(cursor: Cursor, source: Selection, split_column: str, *, chunk_rows: int) -> KeyHistogram:
    """Give the bins in key order, in at most two scans; ``cursor`` must see one snapshot.

    Raises:
        Refused: keys of the column's type have no order that ranges could use.
    """
    column = column_of(source.table, split_column)
    refuse_unordered(source, column)
    if chunk_rows <= SAMPLED_A_CHUNK:  # the sample would be the table
        return _sort_all(cursor, source, column, chunk_rows=chunk_rows)
    boundaries = _sample_boundaries(cursor, source, column, chunk_rows=chunk_rows)
    if len(boundaries) > _MAX_BOUNDARIES:
        return _sort_all(cursor, source, column, chunk_rows=chunk_rows)
    return _count_bins(cursor, source, column, boundaries)


def _sample_boundaries(cursor: Cursor, source: Selection, column: Column, *, chunk_rows: int) -> list[str]:
    """Give distinct keys at every eighth of a chunk of a sample, in order."""
    share = SAMPLED_A_CHUNK / chunk_rows
    step = SAMPLED_A_CHUNK // BINS_A_CHUNK
    key = sql.Identifier(column.name)
    cursor.execute("SELECT setseed(0.5)")  # the same table is cut the same way again
    # A key that fills a step alone (n >= step) is followed by a cut, so that it has a bin to itself.
    cursor.execute(
        sql.SQL(
            "WITH sampled AS (SELECT {key} AS k, count(*) AS n {selected} GROUP BY 1), "
            "running AS (SELECT k, n, sum(n) OVER in_order AS upto, lag(n) OVER in_order AS n_before "
            "FROM sampled WINDOW in_order AS (ORDER BY k)) "
            "SELECT running.k::text FROM running "
            "WHERE div(upto - n, {step}) <> div(upto, {step}) OR n_before >= {step} ORDER BY running.k"
        ).format(
            key=key,
            step=sql.Literal(step),
            selected=from_selection(
                source,
                sql.SQL("{} IS NOT NULL").format(key),
                sql.SQL("random() < {}").format(sql.Literal(share)),
            ),
        )
    )
    return [boundary for (boundary,) in cursor.fetchall()]


def _count_bins(cursor: Cursor, source: Selection, column: Column, boundaries: Sequence[str]) -> KeyHistogram:
    key = sql.Identifier(column.name)
    # There is no min(uuid) up to PostgreSQL 18; its text in C order is ordered as it is.
    ordered = sql.SQL('({}::text COLLATE "C")').format(key) if column.warehouse_type == "uuid" else key
    cursor.execute(
        sql.SQL(
            "SELECT CASE WHEN {key} IS NULL THEN NULL ELSE {search} END AS bin, "
            "min({ordered})::text, max({ordered})::text, count(*) {selected} GROUP BY 1 ORDER BY 1"
        ).format(
            key=key,
            search=search(key, column.warehouse_type, boundaries),
            ordered=ordered,
            selected=from_selection(source),
        )
    )
    return histogram(cursor.fetchall())


def _sort_all(cursor: Cursor, source: Selection, column: Column, *, chunk_rows: int) -> KeyHistogram:
    """Count every key by itself and join neighbours, up to an eighth of a chunk."""
    with cursor.connection.cursor(name="skfleet_keys") as keys:
        keys.itersize = _FETCH
        keys.execute(
            # Without "counted.", ORDER BY would mean the text of the select list.
            sql.SQL(
                "SELECT counted.k::text, counted.n "
                "FROM (SELECT {key} AS k, count(*) AS n {selected} GROUP BY {key}) counted ORDER BY counted.k"
            ).format(key=sql.Identifier(column.name), selected=from_selection(source))
        )
        return joined(keys, chunk_rows=chunk_rows)
