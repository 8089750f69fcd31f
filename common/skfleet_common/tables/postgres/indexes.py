"""Indexes of a replaced table, and the constraints that stand on them, built again on its successor.

They are built before any reader has to wait, under names of their own, for those of the old table are taken
until it is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.postgres.build import option_list
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

# pg_get_indexdef begins as the format does, and goes on with what the index has of its own.
_INDEXES = """
SELECT x.relname::text, i.indisunique,
       substr(pg_catalog.pg_get_indexdef(x.oid),
              length(format('CREATE %%sINDEX %%I ON %%I.%%I USING ',
                            CASE WHEN i.indisunique THEN 'UNIQUE ' END, x.relname,
                            n.nspname, c.relname)) + 1),
       k.conname::text, pg_catalog.pg_get_constraintdef(k.oid), coalesce(x.reloptions, '{}'),
       coalesce(ts.spcname::text, ''), i.indisclustered, i.indisreplident,
       obj_description(x.oid, 'pg_class'), obj_description(k.oid, 'pg_constraint'),
       ARRAY(SELECT ARRAY[a.attnum, a.attstattarget]::int[] FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = x.oid AND a.attstattarget >= 0 ORDER BY a.attnum)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = x.reltablespace
LEFT JOIN pg_catalog.pg_constraint k
    ON k.conindid = x.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
WHERE i.indrelid = %s ORDER BY x.oid
"""


@dataclass(frozen=True)
class Index:
    """An index, and the constraint that it upholds, if any."""

    name: str
    is_unique: bool
    #: What follows USING in its definition.
    definition: str
    constraint: str | None
    constraint_definition: str | None
    options: tuple[str, ...]
    #: Empty is the database's own.
    tablespace: str
    is_clustered: bool
    is_replica_identity: bool
    comment: str | None
    constraint_comment: str | None
    #: Numbers of its columns, with how much ANALYZE shall know of them.
    statistics: tuple[tuple[int, int], ...]

    @property
    def what(self) -> str:
        """Name it for people."""
        return f"index {self.name}" if self.constraint is None else f"constraint {self.constraint}"


_FIELDS = [field.name for field in fields(Index)]


def indexes_of(cursor: Cursor, oid: int) -> tuple[Index, ...]:
    """Read all indexes of a table; the search path must be empty, so that all names are complete."""
    cursor.execute(_INDEXES, (oid,))
    found = [dict(zip(_FIELDS, row, strict=True)) for row in cursor.fetchall()]
    return tuple(
        Index(
            **row
            | {
                "options": tuple(row["options"]),
                "statistics": tuple((column, target) for column, target in row["statistics"]),
            }
        )
        for row in found
    )


def build_index(cursor: Cursor, index: Index, staging: TableName, number: int) -> None:
    """Build an index of the old table on its successor, under a passing name."""
    passing = _passing(staging, number)
    cursor.execute("SELECT set_config('default_tablespace', %s, true)", (index.tablespace,))
    if index.constraint is None:
        keep(
            cursor,
            index.what,
            sql.SQL("CREATE {}INDEX {} ON {} USING ").format(
                sql.SQL("UNIQUE " if index.is_unique else ""), passing, qualified(staging)
            )
            + sql.SQL(index.definition),
        )
    else:
        _alter(
            cursor,
            index,
            staging,
            sql.SQL("ADD CONSTRAINT {} ").format(passing) + sql.SQL(index.constraint_definition or ""),
        )
        if index.options:
            options = option_list(index.options)
            keep(cursor, index.what, sql.SQL("ALTER INDEX {} SET {}").format(_full(staging, number), options))
    if index.is_clustered:
        _alter(cursor, index, staging, sql.SQL("CLUSTER ON {}").format(passing))
    if index.is_replica_identity:
        _alter(cursor, index, staging, sql.SQL("REPLICA IDENTITY USING INDEX {}").format(passing))
    for column, target in index.statistics:
        keep(
            cursor,
            index.what,
            sql.SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
                _full(staging, number), sql.Literal(column), sql.Literal(target)
            ),
        )
    if index.comment is not None:
        cursor.execute(
            sql.SQL("COMMENT ON INDEX {} IS {}").format(_full(staging, number), sql.Literal(index.comment))
        )
    if index.constraint_comment is not None:
        cursor.execute(
            sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
                passing, qualified(staging), sql.Literal(index.constraint_comment)
            )
        )


def rename_index(cursor: Cursor, index: Index, table: TableName, staging: TableName, number: int) -> None:
    """Give an index of the new ``table`` its name, which the old one's bore until now."""
    if index.constraint is None:
        cursor.execute(
            sql.SQL("ALTER INDEX {} RENAME TO {}").format(_full(staging, number), sql.Identifier(index.name))
        )
        return
    # The index goes by the constraint's name, whatever it is called.
    cursor.execute(
        sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}").format(
            qualified(table), _passing(staging, number), sql.Identifier(index.constraint)
        )
    )


def _alter(cursor: Cursor, index: Index, staging: TableName, change: sql.Composable) -> None:
    keep(cursor, index.what, sql.SQL("ALTER TABLE {} {}").format(qualified(staging), change))


def _passing(staging: TableName, number: int) -> sql.Identifier:
    return sql.Identifier(f"{staging.name}_{number}")


def _full(staging: TableName, number: int) -> sql.Composed:
    """Name the index of a number; indexes live in the schema of their table."""
    return qualified(TableName(schema_name=staging.schema_name, name=f"{staging.name}_{number}"))
