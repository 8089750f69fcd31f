"""The ledger of publications: how a lost reply to COMMIT is told from a failed one.

A row is written by whoever has the name's lock, and says one of two things for ever: the run has published,
or it was abandoned and never will. So a job that was called FAILED is not published by a late worker.

All values are given, so that a ledger serves that was made without defaults, as Redshift's is.
"""

from __future__ import annotations

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.ledger import LEDGER

#: The first of PostgreSQL's two advisory keys; the second is the table's.
_LOCK_CLASS = "skfleet"


def lock_name(cursor: Cursor, schema: str, name: str) -> None:
    """Keep every other publisher off a table until this transaction ends."""
    cursor.execute(
        "SELECT pg_catalog.pg_advisory_xact_lock(hashtext(%s), hashtext(%s))",
        (_LOCK_CLASS, f"{schema}.{name}"),
    )


def ensure_ledger(cursor: Cursor, schema: str) -> None:
    """Make the ledger of a schema if it is not there."""
    if _is_complete(cursor, schema):
        return
    lock_name(cursor, schema, LEDGER)  # CREATE TABLE IF NOT EXISTS alone fails when two run at once
    cursor.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (job text NOT NULL, run integer NOT NULL, "
            '"table" text NOT NULL, rows bigint NOT NULL, published_at timestamptz NOT NULL DEFAULT now(), '
            "abandoned boolean NOT NULL DEFAULT false, PRIMARY KEY (job, run))"
        ).format(_identifier(schema))
    )
    # A ledger of before runs could be abandoned has publications alone.
    cursor.execute(
        sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS abandoned boolean NOT NULL DEFAULT false").format(
            _identifier(schema)
        )
    )


def rows_published(cursor: Cursor, schema: str, job: str) -> int | None:
    """Give the rows that any run of a job has published; None if a run may still do it."""
    cursor.execute(
        sql.SQL("SELECT rows FROM {} WHERE job = %s AND NOT abandoned").format(_identifier(schema)), (job,)
    )
    found = cursor.fetchone()
    return None if found is None else int(found[0])


def is_abandoned(cursor: Cursor, schema: str, job: str, run: int) -> bool:
    """Whether somebody has ruled out that this run ever publishes."""
    cursor.execute(
        sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE job = %s AND run = %s AND abandoned)").format(
            _identifier(schema)
        ),
        (job, run),
    )
    (found,) = cursor.fetchone() or (False,)
    return bool(found)


def record(cursor: Cursor, publication: Publication) -> None:
    """Write that a publication is done, in the transaction that does it."""
    cursor.execute(
        sql.SQL(
            'INSERT INTO {} (job, run, "table", rows, published_at, abandoned) '
            "VALUES (%s, %s, %s, %s, now(), false)"
        ).format(_identifier(publication.table.schema_name)),
        (publication.job, publication.run, publication.table.name, publication.rows),
    )


def record_abandoned(cursor: Cursor, table: TableName, job: str, run: int) -> None:
    """Write that a run will never publish; a second time it changes nothing."""
    cursor.execute(
        sql.SQL(
            'INSERT INTO {} (job, run, "table", rows, published_at, abandoned) '
            "VALUES (%s, %s, %s, 0, now(), true) ON CONFLICT DO NOTHING"
        ).format(_identifier(table.schema_name)),
        (job, run, table.name),
    )


def _is_complete(cursor: Cursor, schema: str) -> bool:
    """Whether the ledger is there, with the newest of its columns."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
        "ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
        "WHERE n.nspname = %s AND c.relname = %s AND a.attname = 'abandoned' AND NOT a.attisdropped)",
        (schema, LEDGER),
    )
    (found,) = cursor.fetchone() or (False,)
    return bool(found)


def _identifier(schema: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(LEDGER))
