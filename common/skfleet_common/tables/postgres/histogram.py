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
from skfleet_common.tables.postgres.types import key_hash
from skfleet_common.tables.sql.bins import (
    BINS_A_CHUNK,
    SAMPLED_A_CHUNK,
    CountedBin,
    HeavyKey,
    cut_apart,
    heavy_in,
    heavy_keys,
    histogram,
    joined,
    part_number,
    refuse_unordered,
    search,
)
from skfleet_common.tables.sql.selection import column_of, from_selection

#: More arms than this make the counting CASE slower than sorting all keys once.
_MAX_BOUNDARIES = 20_000

#: Sampled keys of an eighth of a chunk.
_STEP = SAMPLED_A_CHUNK // BINS_A_CHUNK

#: Rows fetched at a time from a server-side cursor.
_FETCH = 10_000


def count_keys(
    cursor: Cursor,
    source: Selection,
    split_column: str,
    *,
    chunk_rows: int,
    hash_columns: Sequence[str] = (),
) -> KeyHistogram:
    """Give the bins in key order, in at most two scans; ``cursor`` must see one snapshot.

    Raises:
        Refused: keys of the column's type have no order that ranges could use.
    """
    column = column_of(source.table, split_column)
    refuse_unordered(source, column)
    if chunk_rows <= SAMPLED_A_CHUNK:  # the sample would be the table
        return _sort_all(cursor, source, column, chunk_rows=chunk_rows, hash_columns=hash_columns)
    sampled = _sample(cursor, source, column, chunk_rows=chunk_rows)
    boundaries = [key for key, _ in sampled if key is not None]
    if len(boundaries) > _MAX_BOUNDARIES:
        return _sort_all(cursor, source, column, chunk_rows=chunk_rows, hash_columns=hash_columns)
    heavy = heavy_keys(sampled, step=_STEP) if hash_columns else []
    return _count_bins(cursor, source, column, boundaries, heavy=heavy, hash_columns=hash_columns)


def _sample(
    cursor: Cursor, source: Selection, column: Column, *, chunk_rows: int
) -> list[tuple[str | None, int]]:
    """Give distinct keys at every eighth of a chunk of a sample, in order, with their sampled rows.

    NULL is among them if it was sampled at all.
    """
    share = SAMPLED_A_CHUNK / chunk_rows
    key = sql.Identifier(column.name)
    cursor.execute("SELECT setseed(0.5)")  # the same table is cut the same way again
    # A key that fills a step alone (n >= step) is followed by a cut, so that it has a bin to itself.
    cursor.execute(
        sql.SQL(
            "WITH sampled AS (SELECT {key} AS k, count(*) AS n {selected} GROUP BY 1), "
            "running AS (SELECT k, n, sum(n) OVER in_order AS upto, lag(n) OVER in_order AS n_before "
            "FROM sampled WINDOW in_order AS (ORDER BY k)) "
            "SELECT running.k::text, n FROM running "
            "WHERE div(upto - n, {step}) <> div(upto, {step}) OR n_before >= {step} OR k IS NULL "
            "ORDER BY running.k"
        ).format(
            key=key,
            step=sql.Literal(_STEP),
            selected=from_selection(source, sql.SQL("random() < {}").format(sql.Literal(share))),
        )
    )
    return cursor.fetchall()


def _count_bins(
    cursor: Cursor,
    source: Selection,
    column: Column,
    boundaries: Sequence[str],
    *,
    heavy: Sequence[HeavyKey],
    hash_columns: Sequence[str],
) -> KeyHistogram:
    key = sql.Identifier(column.name)
    # There is no min(uuid) up to PostgreSQL 18; its text in C order is ordered as it is.
    ordered = sql.SQL('({}::text COLLATE "C")').format(key) if column.warehouse_type == "uuid" else key
    cursor.execute(
        sql.SQL(
            "SELECT CASE WHEN {key} IS NULL THEN NULL ELSE {search} END AS bin, {part} AS part, "
            "min({ordered})::text, max({ordered})::text, count(*) {selected} GROUP BY 1, 2"
        ).format(
            key=key,
            search=search(key, column.warehouse_type, boundaries),
            part=part_number(key, column.warehouse_type, key_hash(hash_columns), heavy),
            ordered=ordered,
            selected=from_selection(source),
        )
    )
    return histogram([CountedBin(*found) for found in cursor.fetchall()], heavy, hash_columns)


def _sort_all(
    cursor: Cursor, source: Selection, column: Column, *, chunk_rows: int, hash_columns: Sequence[str]
) -> KeyHistogram:
    """Count every key by itself and join neighbours, up to an eighth of a chunk; then cut the heavy ones."""
    limit = max(1, chunk_rows // BINS_A_CHUNK)
    key = sql.Identifier(column.name)
    with cursor.connection.cursor(name="skfleet_keys") as keys:
        keys.itersize = _FETCH
        keys.execute(
            # Without "counted.", ORDER BY would mean the text of the select list.
            sql.SQL(
                "SELECT counted.k::text, counted.n "
                "FROM (SELECT {key} AS k, count(*) AS n {selected} GROUP BY {key}) counted ORDER BY counted.k"
            ).format(key=key, selected=from_selection(source))
        )
        whole = joined(keys, limit=limit)
    heavy = heavy_in(whole, limit=limit) if hash_columns else []
    if not heavy:
        return whole
    cursor.execute(
        sql.SQL(
            "SELECT k::text, part, count(*) FROM (SELECT {key} AS k, {part} AS part {selected}) counted "
            "WHERE part > 0 GROUP BY counted.k, part"
        ).format(
            key=key,
            part=part_number(key, column.warehouse_type, key_hash(hash_columns), heavy),
            selected=from_selection(source),
        )
    )
    return cut_apart(whole, heavy, cursor.fetchall(), hash_columns)
