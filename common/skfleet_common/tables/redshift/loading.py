"""Loading: the files that a manifest lists, into a table of the session's own, and from there into staging.

The first of the two tables is temporary: it is gone with the session, whatever becomes of it. What COPY
loads there costs a second pass over the rows within Redshift, where the text of ids and carried columns
becomes what it was.
"""

from __future__ import annotations

import re
import secrets

import psycopg2
from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused
from skfleet_common.tables.port import Publication
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.copy_faults import copy_faults
from skfleet_common.tables.redshift.output_types import loaded_columns, values
from skfleet_common.tables.sql.selection import qualified

#: Redshift has no SQLSTATE for it.
_NULL_VALUE = re.compile(r"cannot insert a null value|null value in (the )?column", re.IGNORECASE)


def load(cursor: Cursor, publication: Publication, manifest: str | None, *, iam_role: str) -> sql.Identifier:
    """Load what ``manifest`` lists, and give the name of the session's table that has it.

    Raises:
        JobFailed: there are not as many rows as were scored, or files are lost.
        Refused: Redshift or its IAM role may not read them.
    """
    loaded = sql.Identifier(f"skfleet_load_{secrets.token_hex(4)}")
    cursor.execute(sql.SQL("CREATE TEMP TABLE {} ({})").format(loaded, loaded_columns(publication.columns)))
    rows = 0
    if manifest is not None:
        role = sql.SQL("default") if iam_role == "default" else sql.Literal(iam_role)
        with copy_faults(publication, manifest=manifest, iam_role=iam_role):
            cursor.execute(
                sql.SQL("COPY {} FROM {} IAM_ROLE {} FORMAT AS PARQUET MANIFEST").format(
                    loaded, sql.Literal(manifest), role
                )
            )
        cursor.execute("SELECT pg_last_copy_count()")
        ((rows,),) = cursor.fetchall()
    _refuse_number(publication, rows)
    return loaded


def fill(cursor: Cursor, staging: TableName, loaded: sql.Identifier, publication: Publication) -> None:
    """Make the output's rows of what was loaded, and drop that.

    Raises:
        JobFailed: not all of them arrived.
        Refused: a value is not of its column's type, or NULL where there must be none.
    """
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in publication.columns)
    try:
        cursor.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
                qualified(staging), names, values(publication.columns), loaded
            )
        )
    except psycopg2.Error as exc:
        if not _NULL_VALUE.search(exc.diag.message_primary or ""):
            raise
        raise Refused(
            f"The output of job {publication.job} has NULL in a column that must have none (not null "
            "violation); nothing was published: mend the source's rows, and submit the job again."
        ) from exc
    cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(qualified(staging)))
    ((rows,),) = cursor.fetchall()
    _refuse_number(publication, rows)
    cursor.execute(sql.SQL("DROP TABLE {}").format(loaded))


def _refuse_number(publication: Publication, rows: int) -> None:
    if rows != publication.rows:
        raise JobFailed(
            f"The output of job {publication.job} has {rows:,} rows where {publication.rows:,} were "
            "scored; nothing was published: run the job again."
        )
