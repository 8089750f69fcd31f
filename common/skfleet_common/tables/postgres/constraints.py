"""Constraints of a replaced table that need no index: checks, and foreign keys to other tables."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

# Names of constraints are their table's own, so that they need not change.
_CONSTRAINTS = """
SELECT conname::text, pg_catalog.pg_get_constraintdef(oid), contype = 'f',
       obj_description(oid, 'pg_constraint')
FROM pg_catalog.pg_constraint
WHERE conrelid = %s AND (contype = 'c' OR contype = 'f' AND confrelid <> conrelid) ORDER BY conname
"""


@dataclass(frozen=True)
class Constraint:
    """A check or a foreign key, as ALTER TABLE adds it."""

    name: str
    definition: str
    is_foreign: bool
    comment: str | None


def constraints_of(cursor: Cursor, oid: int) -> tuple[Constraint, ...]:
    """Read the checks and foreign keys; the search path must be empty, so that all names are complete."""
    cursor.execute(_CONSTRAINTS, (oid,))
    return tuple(Constraint(*found) for found in cursor.fetchall())


def add_constraint(cursor: Cursor, constraint: Constraint, staging: TableName) -> None:
    """Give a table a constraint; one that was not valid stays so, every other one is checked."""
    keep(
        cursor,
        f"constraint {constraint.name}",
        sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            qualified(staging), sql.Identifier(constraint.name), sql.SQL(constraint.definition)
        ),
    )
    if constraint.comment is not None:
        cursor.execute(
            sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
                sql.Identifier(constraint.name), qualified(staging), sql.Literal(constraint.comment)
            )
        )
