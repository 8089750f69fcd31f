"""The build of a table: how it stores its rows, which is set before they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

_TABLE = """
SELECT c.relpersistence = 'u', am.amname::text, ts.spcname::text,
       coalesce(c.reloptions, '{}') || ARRAY(SELECT 'toast.' || unnest(t.reloptions))
FROM pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = c.reltablespace
WHERE c.oid = %s
"""

# What is as the type has it by default is left out.
_COLUMNS = """
SELECT a.attname::text, a.atttypid, cn.nspname::text, co.collname::text,
       CASE WHEN a.attstorage <> t.typstorage THEN
           CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                             ELSE 'EXTENDED' END END,
       CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation AND a.attcollation <> t.typcollation
LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
  AND (co.oid IS NOT NULL OR a.attstorage <> t.typstorage OR a.attcompression <> '')
ORDER BY a.attnum
"""


@dataclass(frozen=True)
class ColumnBuild:
    """What a column has otherwise than its type has it."""

    name: str
    type_oid: int
    collation: tuple[str, str] | None
    storage: str | None
    compression: str | None


@dataclass(frozen=True)
class Build:
    """How a table stores its rows."""

    is_unlogged: bool
    access_method: str | None
    #: None is the database's own.
    tablespace: str | None
    #: Storage parameters, such as ``fillfactor=70``; those of the TOAST table begin with ``toast.``.
    options: tuple[str, ...]
    columns: tuple[ColumnBuild, ...]

    def clauses(self) -> sql.Composed:
        """Give what follows the columns in CREATE TABLE."""
        clauses = []
        if self.access_method is not None:
            clauses.append(sql.SQL(" USING {}").format(sql.Identifier(self.access_method)))
        if self.options:
            clauses.append(sql.SQL(" WITH {}").format(option_list(self.options)))
        if self.tablespace is not None:
            clauses.append(sql.SQL(" TABLESPACE {}").format(sql.Identifier(self.tablespace)))
        return sql.Composed(clauses)


def build_of(cursor: Cursor, oid: int) -> Build:
    """Read how a table stores its rows."""
    cursor.execute(_TABLE, (oid,))
    ((is_unlogged, access_method, tablespace, options),) = cursor.fetchall()
    cursor.execute(_COLUMNS, (oid,))
    columns = tuple(
        ColumnBuild(name, type_oid, (schema, collation) if collation else None, storage, compression)
        for name, type_oid, schema, collation, storage, compression in cursor.fetchall()
    )
    return Build(is_unlogged, access_method, tablespace, tuple(options), columns)


def give_column_settings(
    cursor: Cursor, staging: TableName, columns: Sequence[OutputColumn], build: Build
) -> None:
    """Store the columns of an empty table as the old one stores those of the same name and type."""
    spelled = {column.name: column.warehouse_type for column in columns}
    for column in build.columns:
        cursor.execute(
            "SELECT pg_catalog.to_regtype(%s)::oid = %s", (spelled.get(column.name), column.type_oid)
        )
        (is_same,) = cursor.fetchone() or (False,)
        if not is_same:
            continue
        changes: list[sql.Composable] = []
        if column.collation is not None:
            changes.append(
                sql.SQL("TYPE {} COLLATE {}").format(
                    sql.SQL(spelled[column.name]), sql.Identifier(*column.collation)
                )
            )
        if column.storage is not None:
            changes.append(sql.SQL("SET STORAGE ") + sql.SQL(column.storage))
        if column.compression is not None:
            changes.append(sql.SQL("SET COMPRESSION ") + sql.SQL(column.compression))
        for change in changes:
            keep(
                cursor,
                f"the settings of column {column.name}",
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} {}").format(
                    qualified(staging), sql.Identifier(column.name), change
                ),
            )


def option_list(options: Sequence[str]) -> sql.Composed:
    """Give ``(…)`` of options as the catalogue has them, ``name=value``."""
    pairs = []
    for option in options:
        name, _, value = option.partition("=")
        parts = sql.SQL(".").join(sql.Identifier(part) for part in name.split(".", 1))
        pairs.append(sql.SQL("{} = {}").format(parts, sql.Literal(value)))
    return sql.SQL("({})").format(sql.SQL(", ").join(pairs))
