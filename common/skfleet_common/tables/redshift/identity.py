"""Ids: not NULL and unique, proven by one scan. Redshift enforces no key, so none is believed."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.port import Selection
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.sql.identity import refuse_counted
from skfleet_common.tables.sql.selection import column_of, from_selection

#: Types of OTHER that are compared all the same.
_COMPARED = ("time ", "interval ")


def refuse_ids(cursor: Cursor, source: Selection, id_columns: Sequence[str]) -> None:
    """Refuse ids that are NULL or repeat among the selected rows.

    Raises:
        Refused: it says how many are NULL, or how many values repeat and how often.
    """
    for name in id_columns:
        column = column_of(source.table, name)
        if column.dtype is LogicalDtype.OTHER and not column.warehouse_type.startswith(_COMPARED):
            raise Refused(
                f"{name} of {source.table.name} is {column.warehouse_type}, which Redshift does not compare; "
                "use another --id-column."
            )
    cursor.execute(_scan(source, id_columns))
    nulls, repeated, most = cursor.fetchone() or (0, 0, 0)
    refuse_counted(source.table.name, id_columns, nulls=nulls, repeated=repeated, most=most)


def _scan(source: Selection, id_columns: Sequence[str]) -> sql.Composed:
    ids = [sql.Identifier(name) for name in id_columns]
    any_null = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(name) for name in ids)
    return sql.SQL(
        "SELECT CAST(coalesce(sum(CASE WHEN has_null = 1 THEN n ELSE 0 END), 0) AS bigint), "
        "count(CASE WHEN has_null = 0 AND n > 1 THEN 1 END), max(CASE WHEN has_null = 0 THEN n END) "
        "FROM (SELECT CASE WHEN {} THEN 1 ELSE 0 END AS has_null, count(*) AS n {} GROUP BY {}) counted"
    ).format(any_null, from_selection(source), sql.SQL(", ").join(ids))
