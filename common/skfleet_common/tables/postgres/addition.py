"""Addition: the loaded rows join those of the table that is there."""

from __future__ import annotations

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.postgres.outputs import refuse_output
from skfleet_common.tables.postgres.successor import rename
from skfleet_common.tables.sql.selection import qualified


def append(cursor: Cursor, staging: TableName, publication: Publication) -> None:
    """Add the rows of ``staging`` to the table, or make it the table if there is none.

    Raises:
        Refused: the table was altered since the job was asked for.
        JobFailed: it did not take all rows.
    """
    table = publication.table
    if not _exists(cursor, table):
        rename(cursor, staging, table)
        return
    # From here on nobody alters it; what was altered while the parts were loaded is refused, not rounded.
    cursor.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(qualified(table)))
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
            f"drop what keeps rows away from it, then: skfleet retry {publication.job}"
        )
    cursor.execute(sql.SQL("DROP TABLE {}").format(qualified(staging)))


def _exists(cursor: Cursor, table: TableName) -> bool:
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
        "ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s)",
        (table.schema_name, table.name),
    )
    (found,) = cursor.fetchone() or (False,)
    return bool(found)
