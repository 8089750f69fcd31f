"""Belongings: what a table has besides its columns and rows, and what its successor must have too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.redshift.build import Automatic, Build, build_of
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.grants import Rights, give_rights, rights_of
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

_TABLE = """
SELECT c.oid, d.description
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d
    ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_catalog.pg_class'::regclass
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r'
"""

_COMMENTS = """
SELECT a.attname, d.description
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_description d
    ON d.objoid = a.attrelid AND d.objsubid = a.attnum AND d.classoid = 'pg_catalog.pg_class'::regclass
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_CONSTRAINTS = """
SELECT k.conname, pg_catalog.pg_get_constraintdef(k.oid), k.contype
FROM pg_catalog.pg_constraint k WHERE k.conrelid = %s AND k.contype IN ('p', 'u', 'f') ORDER BY k.conname
"""

_CONSTRAINED = """
SELECT k.conname, a.attname
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid
JOIN pg_catalog.pg_depend d ON d.objid = k.oid AND d.refobjid = k.conrelid AND d.refobjsubid = a.attnum
WHERE k.conrelid = %s AND k.contype IN ('p', 'u', 'f')
"""


@dataclass(frozen=True)
class Constraint:
    """A key of which Redshift tells its planner, and which it does not enforce."""

    name: str
    definition: str
    #: Those of the table's own columns that it needs.
    columns: frozenset[str]


@dataclass(frozen=True)
class Belongings:
    """All that the table of an ``oid`` has."""

    oid: int
    build: Build
    rights: Rights
    comment: str | None
    column_comments: Mapping[str, str]
    constraints: tuple[Constraint, ...]


def belongings_of(
    cursor: Cursor, table: TableName, *, automatic: Automatic | None = None
) -> Belongings | None:
    """Read what a table has; None if there is no such table. For ``automatic`` see :func:`.build_of`."""
    cursor.execute(_TABLE, (table.schema_name, table.name))
    found = cursor.fetchone()
    if found is None:
        return None
    oid, comment = found
    cursor.execute(_COMMENTS, (oid,))
    comments = dict(cursor.fetchall())
    return Belongings(
        oid=oid,
        build=build_of(cursor, table, oid, automatic=automatic),
        rights=rights_of(cursor, table, oid),
        comment=comment,
        column_comments=comments,
        constraints=_constraints_of(cursor, oid),
    )


def dress(cursor: Cursor, table: TableName, belongings: Belongings, names: frozenset[str]) -> None:
    """Give the successor, which bears the name by now, what does not go with it into CREATE TABLE.

    Raises:
        Refused: something does not go with the new columns; the sentence names it.
    """
    for constraint in belongings.constraints:
        # What stands on a column that is no more has been refused.
        keep(
            cursor,
            f"constraint {constraint.name}",
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                qualified(table), sql.Identifier(constraint.name), sql.SQL(constraint.definition)
            ),
        )
    # Staging's own comment goes, whatever comes; an empty one is none.
    comment = sql.Literal(belongings.comment or "")
    cursor.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(qualified(table), comment))
    for name, text in belongings.column_comments.items():
        if name in names:
            cursor.execute(
                sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                    qualified(table), sql.Identifier(name), sql.Literal(text)
                )
            )
    give_rights(cursor, table, belongings.rights, names)


def _constraints_of(cursor: Cursor, oid: int) -> tuple[Constraint, ...]:
    cursor.execute(_CONSTRAINED, (oid,))
    columns: dict[str, set[str]] = {}
    for name, column in cursor.fetchall():
        columns.setdefault(name, set()).add(column)
    cursor.execute(_CONSTRAINTS, (oid,))
    return tuple(
        Constraint(name, definition, frozenset(columns.get(name, ())))
        for name, definition, _ in cursor.fetchall()
    )
