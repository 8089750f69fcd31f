"""Ids: not NULL and unique, proven by an index or by one scan."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg2
from psycopg2 import errorcodes, sql

from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.port import Selection
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.identity import refuse_counted
from skfleet_common.tables.sql.selection import column_of, from_selection

# A valid, complete unique index whose columns are all among the ids, and all NOT NULL. An index of a table
# says nothing of the tables that inherit from it, except for partitions.
_PROOF = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = %(table)s
      AND i.indisunique AND i.indisvalid AND i.indisready AND i.indpred IS NULL AND i.indexprs IS NULL
      AND (c.relkind = 'p'
           OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid))
      AND (SELECT bool_and(a.attnotnull AND a.attname = ANY(%(ids)s))
           FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS k (attnum)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum)
)
AND (SELECT bool_and(a.attnotnull) FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n
                         ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relname = %(table)s)
       AND a.attname = ANY(%(ids)s))
"""


def refuse_ids(cursor: Cursor, source: Selection, id_columns: Sequence[str]) -> None:
    """Refuse ids that are NULL or repeat among the selected rows.

    Raises:
        Refused: it says how many are NULL, or how many values repeat and how often.
    """
    table = source.table.name
    for name in id_columns:
        column_of(source.table, name)
    cursor.execute(_PROOF, {"schema": table.schema_name, "table": table.name, "ids": list(id_columns)})
    (is_proven,) = cursor.fetchone() or (False,)
    if is_proven:
        return
    try:
        cursor.execute(_scan(source, id_columns))
    except psycopg2.Error as exc:
        if exc.pgcode != errorcodes.UNDEFINED_FUNCTION:
            raise
        named = ", ".join(id_columns)
        raise Refused(
            f"{named} of {table} has a type that PostgreSQL cannot compare; use another --id-column."
        ) from exc
    nulls, repeated, most = cursor.fetchone() or (0, 0, 0)
    refuse_counted(table, id_columns, nulls=nulls, repeated=repeated, most=most)


def _scan(source: Selection, id_columns: Sequence[str]) -> sql.Composed:
    ids = [sql.Identifier(name) for name in id_columns]
    any_null = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(name) for name in ids)
    return sql.SQL(
        "SELECT coalesce(sum(n) FILTER (WHERE has_null), 0)::bigint, "
        "count(*) FILTER (WHERE n > 1 AND NOT has_null), max(n) FILTER (WHERE NOT has_null) "
        "FROM (SELECT {} AS has_null, count(*) AS n {} GROUP BY {}) counted"
    ).format(any_null, from_selection(source), sql.SQL(", ").join(ids))
