"""Succession: the loaded table takes the place of the old one, with all that the old one has.

::

    foreign keys ─▶ views ─▶ table ─▶ looked at again ─▶ names swapped ─▶ views replaced ─▶ old table dropped
    └────── locked, in this order ──────┘

A reader locks a view before the table under it, and so does the swap. Once it holds a lock, it waits for the
next one less than PostgreSQL's ``deadlock_timeout`` (1 s by default): a reader that locks in another order
is never the victim of a deadlock, for the swap gives way and tries again.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg2
from psycopg2 import errorcodes, errors, sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused, TryAgain
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres.belongings import (
    Belongings,
    add_foreign_keys,
    belongings_of,
    dress,
    settle_in,
)
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.postgres.outputs import refuse_output
from skfleet_common.tables.postgres.staging import make_staging, staging_for
from skfleet_common.tables.postgres.views import lock_view, replace_views, views_of
from skfleet_common.tables.sql.selection import qualified

#: How long the swap waits for a lock while it holds another one.
HOLDING_SECONDS = 0.4


class Altered(TryAgain):
    """The old table is no longer what its successor was made like. The publisher makes it anew."""


def rehearse(cursor: Cursor, table: TableName, columns: Sequence[OutputColumn]) -> None:
    """Make an empty successor, so that what does not go with the new columns is known before a job runs.

    The caller rolls back. Foreign keys are left out, because they keep writers off other tables.

    Raises:
        Refused: something that must be kept does not go with the columns.
    """
    old = belongings_of(cursor, table)
    if old is None:
        return
    staging = staging_for(table, "rehearsal", 0)
    make_staging(cursor, staging, columns, old.build)
    dress(cursor, staging, old, columns)


def succeed(cursor: Cursor, staging: TableName, publication: Publication, old: Belongings | None) -> None:
    """Put ``staging``, which is dressed like ``old``, in the place of the table that it was read from.

    Raises:
        Altered: the table has changed, is gone, or has come to exist since then.
        Refused: something stands on it that would be lost, or does not go with the new columns.
    """
    table = publication.table
    if old is None:
        if belongings_of(cursor, table) is not None:
            raise _altered(table)
        rename(cursor, staging, table)
        return
    _refuse(cursor, publication)
    if add_foreign_keys(cursor, staging, old):
        wait_for_locks(cursor, HOLDING_SECONDS)
    views = views_of(cursor, old.oid)
    for view in views:
        lock_view(cursor, view)
        wait_for_locks(cursor, HOLDING_SECONDS)
    try:
        cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(qualified(table)))
    except errors.UndefinedTable as exc:
        raise _altered(table) from exc
    wait_for_locks(cursor, HOLDING_SECONDS)
    _refuse(cursor, publication)
    if belongings_of(cursor, table) != old or views_of(cursor, old.oid) != views:
        raise _altered(table)
    aside = TableName(schema_name=table.schema_name, name=f"{staging.name}_old")
    rename(cursor, table, aside)
    rename(cursor, staging, table)
    replace_views(cursor, views)
    _drop(cursor, aside, table)
    settle_in(cursor, table, staging, old)


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


def wait_for_locks(cursor: Cursor, seconds: float) -> None:
    """Say how long statements of this transaction wait for each lock from now on."""
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", (str(max(1, round(seconds * 1000))),))


def _refuse(cursor: Cursor, publication: Publication) -> None:
    refuse_output(
        cursor,
        publication.table,
        publication.columns,
        if_exists=IfExists.REPLACE,
        cascade_views=publication.cascade_views,
    )


def _drop(cursor: Cursor, aside: TableName, table: TableName) -> None:
    try:
        cursor.execute(sql.SQL("DROP TABLE {}").format(qualified(aside)))
    except psycopg2.Error as exc:
        if exc.pgcode != errorcodes.DEPENDENT_OBJECTS_STILL_EXIST:
            raise
        raise Refused(
            f"{table} cannot be replaced, because something depends on it; nothing was published: "
            "drop that and run the job again."
        ) from exc


def _altered(table: TableName) -> Altered:
    return Altered(f"{table} was altered while its successor was made; try again.")
