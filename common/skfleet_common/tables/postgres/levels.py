"""NULLs and levels of features.

Two statements, one for all NULLs and one for all levels, take half the time of a single one that counts both
in its grouping sets (0.17 s against 0.35 s on 336,776 flights, 18 columns, 4 of them categorical).
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from skfleet_common.tables.port import FeatureCounts, Selection
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.postgres.types import as_text
from skfleet_common.tables.sql.nulls import count_nulls
from skfleet_common.tables.sql.selection import column_of, from_selection

#: Each column is a hash table in the server's work_mem; more at once would spill to disk.
_COLUMNS_A_SCAN = 16


def count_features(
    cursor: Cursor, source: Selection, columns: Sequence[str], *, categorical: Sequence[str]
) -> FeatureCounts:
    """Give the selected rows, the NULLs of ``columns`` and the levels of ``categorical``."""
    rows, nulls = count_nulls(cursor, source, columns)
    return FeatureCounts(rows=rows, nulls=nulls, levels=_count_levels(cursor, source, categorical))


def _count_levels(cursor: Cursor, source: Selection, categorical: Sequence[str]) -> dict[str, dict[str, int]]:
    levels: dict[str, dict[str, int]] = {name: {} for name in categorical}
    for at in range(0, len(categorical), _COLUMNS_A_SCAN):
        names = categorical[at : at + _COLUMNS_A_SCAN]
        cursor.execute(_levels_query(source, names))
        for which, level, rows in cursor:
            if level is not None:
                levels[names[which]][level] = rows
    return levels


def _levels_query(source: Selection, names: Sequence[str]) -> sql.Composed:
    """Count the texts of each column by itself, in one scan.

    Bytes are compared, because a case-insensitive type or collation would count two levels as one.
    """
    keys = [sql.Identifier(f"k{at}") for at in range(len(names))]
    texts = [
        sql.SQL('{} COLLATE "C" AS {}').format(as_text(column_of(source.table, name).name), key)
        for name, key in zip(names, keys, strict=True)
    ]
    which = [
        sql.SQL("WHEN grouping({}) = 0 THEN {}").format(key, sql.Literal(at)) for at, key in enumerate(keys)
    ]
    listed = sql.SQL(", ").join(keys)
    return sql.SQL(
        "SELECT CASE {which} END, coalesce({listed}), count(*) FROM (SELECT {texts} {selected}) levelled "
        "GROUP BY GROUPING SETS ({sets})"
    ).format(
        which=sql.SQL(" ").join(which),
        listed=listed,
        texts=sql.SQL(", ").join(texts),
        selected=from_selection(source),
        sets=sql.SQL(", ").join(sql.SQL("({})").format(key) for key in keys),
    )
