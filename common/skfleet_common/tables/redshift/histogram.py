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
from skfleet_common.tables.redshift.cursors import SINGLE_NODE_ROWS, fetches, take_as_printed
from skfleet_common.tables.redshift.types import as_printed, key_hashing
from skfleet_common.tables.redshift.values import printed_text
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

#: Sampled keys of an eighth of a chunk.
_STEP = SAMPLED_A_CHUNK // BINS_A_CHUNK

#: A statement is compiled, so that its arms cost time beyond their number; these serve 1,024 chunks. Plans of
#: more have coarser bins.
_MAX_BOUNDARIES = 8_192


def count_keys(
    server: Server,
    source: Selection,
    split_column: str,
    *,
    chunk_rows: int,
    hash_columns: Sequence[str] = (),
) -> KeyHistogram:
    """Give the bins in key order, in at most two scans of one snapshot.

    Raises:
        Refused: keys of the column's type have no order that ranges could use.
    """
    column = column_of(source.table, split_column)
    refuse_unordered(source, column)
    with server.transaction(f"counting the keys of {source.table.name}") as cursor:
        take_as_printed(cursor)
        if chunk_rows <= SAMPLED_A_CHUNK:  # the sample would be the table
            return _sort_all(cursor, source, column, chunk_rows=chunk_rows, hash_columns=hash_columns)
        sampled = _sample(cursor, source, column, chunk_rows=chunk_rows)
        heavy = heavy_keys(sampled, step=_STEP) if hash_columns else []
        boundaries = [key for key, _ in sampled if key is not None]
        every = max(1, -(-len(boundaries) // _MAX_BOUNDARIES))
        kept = {one.key for one in heavy}
        boundaries = [key for place, key in enumerate(boundaries) if place % every == 0 or key in kept]
        return _count_bins(cursor, source, column, boundaries, heavy=heavy, hash_columns=hash_columns)


def _sort_all(
    cursor: Cursor, source: Selection, column: Column, *, chunk_rows: int, hash_columns: Sequence[str]
) -> KeyHistogram:
    """Count every key by itself and join neighbours, up to an eighth of a chunk; then cut the heavy ones."""
    limit = max(1, chunk_rows // BINS_A_CHUNK)
    whole = joined(_every_key(cursor, source, column), limit=limit)
    heavy = heavy_in(whole, limit=limit) if hash_columns else []
    if not heavy:
        return whole
    key = sql.Identifier(column.name)
    cursor.execute(
        sql.SQL(
            "SELECT {printed}, part, count(*) FROM (SELECT {key} AS k, {part} AS part {selected}) counted "
            "WHERE part > 0 GROUP BY k, part"
        ).format(
            printed=as_printed(column, sql.Identifier("k")),
            key=key,
            part=part_number(key, column.warehouse_type, key_hashing(source.table)(hash_columns), heavy),
            selected=from_selection(source),
        )
    )
    parts = [(_text(key, column), int(part), int(rows)) for key, part, rows in cursor.fetchall()]
    return cut_apart(whole, heavy, parts, hash_columns)


def _every_key(cursor: Cursor, source: Selection, column: Column) -> Iterator[tuple[str | None, int]]:
    query = sql.SQL(
        "SELECT {printed}, n FROM (SELECT {key} AS k, count(*) AS n {selected} GROUP BY 1) counted ORDER BY k"
    ).format(
        printed=as_printed(column, sql.Identifier("k")),
        key=sql.Identifier(column.name),
        selected=from_selection(source),
    )
    doing = f"counting the keys of {source.table.name}"
    for fetched in fetches(cursor, query, doing, rows=SINGLE_NODE_ROWS):
        for key, rows in fetched:
            yield _text(key, column), int(rows or 0)


def _sample(
    cursor: Cursor, source: Selection, column: Column, *, chunk_rows: int
) -> list[tuple[str | None, int]]:
    """Give distinct keys at every eighth of a chunk of a sample, in order, with their sampled rows.

    NULL is among them if it was sampled at all.
    """
    cursor.execute("SET seed TO 0.5")  # the same table is cut the same way again
    # A key that fills a step alone (n >= step) is followed by a cut, so that it has a bin to itself.
    cursor.execute(
        sql.SQL(
            "SELECT {printed}, n FROM (SELECT k, n, "
            "CAST(sum(n) OVER (ORDER BY k ROWS UNBOUNDED PRECEDING) AS bigint) AS upto, "
            "lag(n) OVER (ORDER BY k) AS n_before "
            "FROM (SELECT {key} AS k, count(*) AS n {selected} GROUP BY 1) sampled) running "
            "WHERE (upto - n) / {step} <> upto / {step} OR n_before >= {step} OR k IS NULL ORDER BY k"
        ).format(
            printed=as_printed(column, sql.Identifier("k")),
            key=sql.Identifier(column.name),
            step=sql.Literal(_STEP),
            selected=from_selection(
                source, sql.SQL("random() < {}").format(sql.Literal(SAMPLED_A_CHUNK / chunk_rows))
            ),
        )
    )
    return [(_text(key, column), int(rows)) for key, rows in cursor.fetchall()]


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
    cursor.execute(
        sql.SQL(
            "SELECT CASE WHEN {key} IS NULL THEN -1 ELSE {search} END, {part}, {least}, {most}, count(*) "
            "{selected} GROUP BY 1, 2"
        ).format(
            key=key,
            search=search(key, column.warehouse_type, boundaries),
            part=part_number(key, column.warehouse_type, key_hashing(source.table)(hash_columns), heavy),
            least=as_printed(column, sql.SQL("min({})").format(key)),
            most=as_printed(column, sql.SQL("max({})").format(key)),
            selected=from_selection(source),
        )
    )
    counted = []
    for number, part, first, last, rows in cursor.fetchall():
        least, most = _text(first, column), _text(last, column)
        is_null = least is None or most is None
        counted.append(
            CountedBin(None if is_null else int(number), int(part), least or "", most or "", int(rows))
        )
    return histogram(counted, heavy, hash_columns)


def _text(printed: str | None, column: Column) -> str | None:
    return None if printed is None else printed_text(printed, column)
