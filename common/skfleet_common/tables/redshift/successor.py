"""Succession: the loaded table takes the place of the old one, with all that the old one has.

::

    ledger ─▶ views ─▶ table ─▶ looked at ─▶ names swapped ─▶ views replaced ─▶ old one dropped ─▶ dressed
    └─────── locked ───────┘

All of it is catalogue work, whatever the number of rows. Readers wait for the locks, or were there first. A
reader locks a view before the table under it, and so does the swap; with a view in its hands it hardly waits
for the table, so that of two that wait for each other it is the swap that gives way.
"""

from __future__ import annotations

import psycopg2
from psycopg2 import errorcodes, sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused, TryAgain
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import Publication
from skfleet_common.tables.redshift.belongings import belongings_of, dress
from skfleet_common.tables.redshift.build import Build
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.locks import lock_table, waiting
from skfleet_common.tables.redshift.obstacles import refuse_obstacles
from skfleet_common.tables.redshift.outputs import refuse_output
from skfleet_common.tables.redshift.staging import drop_table
from skfleet_common.tables.redshift.views import View, replace_views, views_of
from skfleet_common.tables.sql.selection import qualified

#: How long the swap waits for a lock while it holds that of a view: less than it takes a server to see that
#: two wait for each other, and to choose one of them.
HOLDING_SECONDS = 0.4

_OID = """
SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""


class Altered(TryAgain):
    """The old table is no longer what its successor was built like. It is loaded again."""


def table_exists(cursor: Cursor, table: TableName) -> bool:
    """Whether something has a table's name."""
    cursor.execute(
        "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        (table.schema_name, table.name),
    )
    ((found,),) = cursor.fetchall()
    return bool(found)


def succeed(
    cursor: Cursor, staging: TableName, publication: Publication, build: Build, *, seconds: float
) -> None:
    """Put ``staging``, which has the ``build``, in the place of the table, which is locked.

    Raises:
        Held: readers kept the table for longer than ``seconds``.
        Altered: it is built in another way than when it was looked at.
        Refused: something stands on it that would be lost, or does not go with the new columns.
    """
    table = publication.table
    held = _hold_views(cursor, publication, seconds=seconds)
    _lock(cursor, table, seconds=min(seconds, HOLDING_SECONDS) if held else seconds)
    old = belongings_of(cursor, table, automatic=build.automatic)
    if old is None or old.build != build:
        raise _altered(table)
    views = refuse_obstacles(cursor, table, old, publication.columns, cascade_views=publication.cascade_views)
    if views != held:
        raise _altered(table)
    aside = TableName(schema_name=table.schema_name, name=f"{staging.name}_old")
    rename(cursor, table, aside)
    rename(cursor, staging, table)
    replace_views(cursor, views)
    _drop(cursor, aside, table)
    dress(cursor, table, old, frozenset(column.name for column in publication.columns))


def appear(cursor: Cursor, staging: TableName, table: TableName) -> None:
    """Make ``staging`` a table that was not there.

    Raises:
        Refused: something has come to have its name.
    """
    rename(cursor, staging, table)
    cursor.execute(sql.SQL("COMMENT ON TABLE {} IS ''").format(qualified(table)))


def append(cursor: Cursor, staging: TableName, publication: Publication) -> None:
    """Add the rows of ``staging`` to the table.

    Raises:
        Refused: the table was altered since the job was asked for.
        JobFailed: it did not take all rows.
    """
    table = publication.table
    refuse_output(cursor, table, publication.columns, if_exists=IfExists.APPEND)
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in publication.columns)
    cursor.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
            qualified(table), names, names, qualified(staging)
        )
    )
    if cursor.rowcount != publication.rows:
        raise JobFailed(
            f"{table} took {cursor.rowcount:,} of {publication.rows:,} rows, so nothing was appended; "
            f"see what keeps rows away from it, then: skfleet retry {publication.job}"
        )
    drop_table(cursor, staging)


def rename(cursor: Cursor, old: TableName, new: TableName) -> None:
    """Give a table another name in its schema.

    Raises:
        Refused: something has that name.
    """
    try:
        cursor.execute(
            sql.SQL("ALTER TABLE {} RENAME TO {}").format(qualified(old), sql.Identifier(new.name))
        )
    except psycopg2.Error as exc:
        if exc.pgcode != errorcodes.DUPLICATE_TABLE:
            raise
        raise Refused(
            f"{new} has come to exist while the job ran; nothing was published: drop it, or run again "
            "with another --output-table."
        ) from exc


def _hold_views(cursor: Cursor, publication: Publication, *, seconds: float) -> tuple[View, ...]:
    """Keep readers off the views that are bound to the table. LOCK takes none: each is replaced by itself."""
    if not publication.cascade_views:
        return ()
    cursor.execute(_OID, (publication.table.schema_name, publication.table.name))
    found = cursor.fetchone()
    if found is None:
        raise _altered(publication.table)
    views = views_of(cursor, found[0])
    for number, view in enumerate(views):
        with waiting(cursor, view.name, seconds=min(seconds, HOLDING_SECONDS) if number else seconds):
            replace_views(cursor, [view])
    return views


def _lock(cursor: Cursor, table: TableName, *, seconds: float) -> None:
    try:
        lock_table(cursor, table, seconds=seconds)
    except psycopg2.Error as exc:
        if exc.pgcode != errorcodes.UNDEFINED_TABLE:
            raise
        raise _altered(table) from exc


def _drop(cursor: Cursor, aside: TableName, table: TableName) -> None:
    try:
        cursor.execute(sql.SQL("DROP TABLE {}").format(qualified(aside)))
    except psycopg2.Error as exc:
        if exc.pgcode != errorcodes.DEPENDENT_OBJECTS_STILL_EXIST:
            raise
        raise Refused(
            f"{table} cannot be replaced, because something depends on it, such as a materialized view; "
            "nothing was published: drop that and run the job again, or use --if-exists append."
        ) from exc


def _altered(table: TableName) -> Altered:
    return Altered(f"{table} was altered while its successor was made; try again.")
