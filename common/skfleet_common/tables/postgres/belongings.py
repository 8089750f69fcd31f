"""Belongings: what a table has besides its columns and rows, and what its successor must have too.

They are read, given to the staging table while readers still use the old one, and read again once the old
table is locked: whatever has changed in between is not lost, for then all is done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.tables.postgres.build import Build, build_of
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.postgres.constraints import Constraint, add_constraint, constraints_of
from skfleet_common.tables.postgres.grants import Rights, give_rights, rights_of
from skfleet_common.tables.postgres.indexes import Index, build_index, indexes_of, rename_index
from skfleet_common.tables.postgres.traits import (
    Statistics,
    Traits,
    give_traits,
    make_statistics,
    statistics_of,
    traits_of,
)
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

_TABLE = """
SELECT c.oid, c.relreplident::text, obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r'
"""

#: pg_class.relreplident as ALTER TABLE spells it; "d" is the default, and "i" is said of the index.
_REPLICA_IDENTITIES = {"n": "NOTHING", "f": "FULL"}


@dataclass(frozen=True)
class Belongings:
    """All that the table of an ``oid`` has."""

    oid: int
    build: Build
    rights: Rights
    comment: str | None
    replica_identity: str
    traits: tuple[Traits, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]
    statistics: tuple[Statistics, ...]


def belongings_of(cursor: Cursor, table: TableName) -> Belongings | None:
    """Read what a table has; None if there is no such table."""
    cursor.execute(_TABLE, (table.schema_name, table.name))
    found = cursor.fetchone()
    if found is None:
        return None
    oid, replica_identity, comment = found
    with complete_names(cursor):
        return Belongings(
            oid=oid,
            build=build_of(cursor, oid),
            rights=rights_of(cursor, oid),
            comment=comment,
            replica_identity=replica_identity,
            traits=traits_of(cursor, oid),
            constraints=constraints_of(cursor, oid),
            indexes=indexes_of(cursor, oid),
            statistics=statistics_of(cursor, oid),
        )


def dress(
    cursor: Cursor, staging: TableName, belongings: Belongings, columns: Sequence[OutputColumn]
) -> None:
    """Give the loaded staging table all that needs no lock on any other table.

    Raises:
        Refused: something does not go with the new columns or rows; the sentence names it.
    """
    names = {column.name for column in columns}
    with complete_names(cursor):
        for traits in belongings.traits:
            if traits.column in names:
                give_traits(cursor, staging, traits)
        for constraint in belongings.constraints:
            if not constraint.is_foreign:
                add_constraint(cursor, constraint, staging)
        for number, index in enumerate(belongings.indexes):
            build_index(cursor, index, staging, number)
        if belongings.replica_identity in _REPLICA_IDENTITIES:
            identity = sql.SQL(_REPLICA_IDENTITIES[belongings.replica_identity])
            change = sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(qualified(staging), identity)
            keep(cursor, "its replica identity", change)
        if belongings.comment is not None:
            comment = sql.Literal(belongings.comment)
            cursor.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(qualified(staging), comment))
        give_rights(cursor, staging, belongings.rights, names)


def add_foreign_keys(cursor: Cursor, staging: TableName, belongings: Belongings) -> bool:
    """Give staging its foreign keys, which keeps writers off the tables that they refer to; False if none."""
    foreign = [constraint for constraint in belongings.constraints if constraint.is_foreign]
    with complete_names(cursor):
        for constraint in foreign:
            add_constraint(cursor, constraint, staging)
    return bool(foreign)


def settle_in(cursor: Cursor, table: TableName, staging: TableName, belongings: Belongings) -> None:
    """Give the successor, which has the old table's name by now, the names that the old one has set free."""
    with complete_names(cursor):
        for number, index in enumerate(belongings.indexes):
            rename_index(cursor, index, table, staging, number)
        for statistics in belongings.statistics:
            make_statistics(cursor, statistics)


@contextmanager
def complete_names(cursor: Cursor) -> Iterator[None]:
    """Let definitions be printed and read with the schema of every name in them, as pg_dump does.

    An error leaves it so: all that can follow is a rollback, which puts it right.
    """
    cursor.execute("SELECT current_setting('search_path'), set_config('search_path', '', true)")
    ((search_path, _),) = cursor.fetchall()
    yield
    cursor.execute("SELECT set_config('search_path', %s, true)", (search_path,))
