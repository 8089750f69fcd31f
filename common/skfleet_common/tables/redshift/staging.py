"""Staging: the loaded and checked output under a name of its own, until it takes the table's place.

It is committed, unlike PostgreSQL's, because the swap must begin with a lock in a transaction of its own
(see :mod:`.ledger`). So it may outlive a publisher that dies. Whoever publishes the job after that removes
it, or else ``skfleet gc``, by what its comment says.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.tables.port import Leftover, Publication
from skfleet_common.tables.redshift.build import Build
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.sql.selection import qualified

PREFIX = "skfleet_staging_"

#: The comment of a staging table, for people and for clean-up.
_COMMENT = "skfleet publishes job {job} from here, loaded at {now} UTC"
_WRITTEN = re.compile(r"skfleet publishes job (?P<job>\S+) from here, loaded at (?P<now>.+) UTC")

_STAGINGS = """
SELECT n.nspname, c.relname, d.description
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_description d
    ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_catalog.pg_class'::regclass
WHERE c.relkind = 'r' AND left(c.relname, %s) = %s AND pg_catalog.pg_get_userbyid(c.relowner) = current_user
ORDER BY n.nspname, c.relname
"""


def prefix_of(job: str) -> str:
    """Give what the names of all staging tables of a job begin with."""
    return f"{PREFIX}{hashlib.sha256(job.encode()).hexdigest()[:16]}_"


def staging_for(table: TableName, job: str, run: int) -> TableName:
    """Give a name that no other attempt has."""
    name = f"{prefix_of(job)}{run}_{secrets.token_hex(4)}"
    return TableName(schema_name=table.schema_name, name=name)


def make_staging(cursor: Cursor, staging: TableName, publication: Publication, build: Build) -> None:
    """Make an empty table of the output's columns, built like the one that it will replace, if any."""
    cursor.execute(
        sql.SQL("CREATE TABLE {} ({}) {}").format(
            qualified(staging), build.columns(publication.columns), build.clauses()
        )
    )
    comment = sql.Literal(_COMMENT.format(job=publication.job, now=_now(cursor).isoformat(" ")))
    cursor.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(qualified(staging), comment))


def refuse_repeated_ids(cursor: Cursor, staging: TableName, publication: Publication) -> None:
    """Refuse an output in which two rows have the same ids; Redshift enforces no key.

    Raises:
        JobFailed: the sentence says how many ids repeat, and never which.
    """
    if not publication.id_columns:
        return
    names = sql.SQL(", ").join(sql.Identifier(name) for name in publication.id_columns)
    cursor.execute(
        sql.SQL(
            "SELECT count(*), max(n) "
            "FROM (SELECT count(*) AS n FROM {} GROUP BY {} HAVING count(*) > 1) AS repeated"
        ).format(qualified(staging), names)
    )
    ((repeated, most),) = cursor.fetchall()
    if repeated:
        raise JobFailed(
            f"The output of job {publication.job} has {repeated:,} ids ({', '.join(publication.id_columns)}) "
            f"that stand on more than one row, one of them on {most:,}; nothing was published: see that the "
            "ids of the source are unique, and submit the job again."
        )


def drop_stagings(cursor: Cursor, schema: str, job: str) -> None:
    """Drop what publishers of a job left behind, now that none of them needs it any more."""
    cursor.execute(
        "SELECT c.relname FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relkind = 'r' AND left(c.relname, %s) = %s ORDER BY c.relname",
        (schema, len(prefix_of(job)), prefix_of(job)),
    )
    for (name,) in cursor.fetchall():
        drop_table(cursor, TableName(schema_name=schema, name=name))


def stagings(cursor: Cursor) -> list[Leftover]:
    """Give the staging tables of all schemas that belong to the warehouse role."""
    now = _now(cursor)
    cursor.execute(_STAGINGS, (len(PREFIX), PREFIX))
    return [
        Leftover(
            table=TableName(schema_name=schema, name=name),
            job=found["job"],
            age_seconds=(now - datetime.fromisoformat(found["now"])).total_seconds(),
        )
        for schema, name, comment in cursor.fetchall()
        if (found := _WRITTEN.fullmatch(comment)) is not None
    ]


def _now(cursor: Cursor) -> datetime:
    cursor.execute("SELECT getdate()")
    ((now,),) = cursor.fetchall()
    assert isinstance(now, datetime)  # noqa: S101  (a timestamp is one)
    return now


def drop_table(cursor: Cursor, table: TableName) -> None:
    """Drop a table of ours, unless it is gone already."""
    cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(qualified(table)))
