"""NULLs and levels of features, in two scans: one for all NULLs, one for all levels."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.tables.port import FeatureCounts, Selection
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.cursors import take_as_printed
from skfleet_common.tables.redshift.values import printed_text
from skfleet_common.tables.sql.nulls import count_nulls
from skfleet_common.tables.sql.selection import column_of, from_selection

#: Each column is a hash table in the memory of a query's slot; more at once would spill to disk.
_COLUMNS_A_SCAN = 16

#: Blanks at the end of a text mean nothing when it is compared ("Significance of trailing blanks"), but two
#: texts that differ in them are two levels to a model. With this behind them, they are to the warehouse.
_END = "."


def count_features(
    cursor: Cursor, source: Selection, columns: Sequence[str], *, categorical: Sequence[str]
) -> FeatureCounts:
    """Give the selected rows, the NULLs of ``columns`` and the levels of ``categorical``."""
    rows, nulls = count_nulls(cursor, source, columns)
    return FeatureCounts(rows=rows, nulls=nulls, levels=_count_levels(cursor, source, categorical))


def _count_levels(cursor: Cursor, source: Selection, categorical: Sequence[str]) -> dict[str, dict[str, int]]:
    levels: dict[str, dict[str, int]] = {name: {} for name in categorical}
    take_as_printed(cursor)
    for at in range(0, len(categorical), _COLUMNS_A_SCAN):
        columns = [column_of(source.table, name) for name in categorical[at : at + _COLUMNS_A_SCAN]]
        cursor.execute(_levels_query(source, columns))
        for which, *keys, rows in cursor.fetchall():
            column, key = columns[int(which)], keys[int(which)]
            if key is not None:
                text = key.removesuffix(_END) if column.dtype is LogicalDtype.TEXT else key
                levels[column.name][printed_text(text, column)] = int(rows)
    return levels


def _levels_query(source: Selection, columns: Sequence[Column]) -> sql.Composed:
    """Count the levels of each column by itself, in one scan."""
    keys = [sql.Identifier(f"k{at}") for at in range(len(columns))]
    compared = [
        sql.SQL("{} AS {}").format(_compared(column), key) for column, key in zip(columns, keys, strict=True)
    ]
    which = [
        sql.SQL("WHEN grouping({}) = 0 THEN {}").format(key, sql.Literal(at)) for at, key in enumerate(keys)
    ]
    return sql.SQL(
        "SELECT CASE {which} END, {listed}, count(*) FROM (SELECT {compared} {selected}) levelled "
        "GROUP BY GROUPING SETS ({sets})"
    ).format(
        which=sql.SQL(" ").join(which),
        listed=sql.SQL(", ").join(keys),
        compared=sql.SQL(", ").join(compared),
        selected=from_selection(source),
        sets=sql.SQL(", ").join(sql.SQL("({})").format(key) for key in keys),
    )


def _compared(column: Column) -> sql.Composable:
    """Give what is equal only where the values are."""
    name = sql.Identifier(column.name)
    if column.dtype is not LogicalDtype.TEXT:
        return name
    return sql.SQL("CAST({} AS varchar) || {}").format(name, sql.Literal(_END))
