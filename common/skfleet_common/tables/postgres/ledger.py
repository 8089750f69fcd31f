"""The ledger of publications: how a lost reply to COMMIT is told from a failed one."""

from __future__ import annotations

from psycopg2 import sql

from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres.connect import Cursor

LEDGER = "skfleet_publications"

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
    if _exists(cursor, schema):
        return
    lock_name(cursor, schema, LEDGER)  # CREATE TABLE IF NOT EXISTS alone fails when two run at once
    cursor.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (job text NOT NULL, run integer NOT NULL, "
            '"table" text NOT NULL, rows bigint NOT NULL, published_at timestamptz NOT NULL DEFAULT now(), '
            "PRIMARY KEY (job, run))"
        ).format(_identifier(schema))
    )


def has_published(cursor: Cursor, schema: str, job: str) -> bool:
    """Whether any run of a job has published: a later run of the same job must not do it again."""
    cursor.execute(
        sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE job = {})").format(_identifier(schema), sql.Literal(job))
    )
    (found,) = cursor.fetchone() or (False,)
    return bool(found)


def record(cursor: Cursor, publication: Publication) -> None:
    """Write that a publication is done, in the transaction that does it."""
    cursor.execute(
        sql.SQL('INSERT INTO {} (job, run, "table", rows) VALUES (%s, %s, %s, %s)').format(
            _identifier(publication.table.schema_name)
        ),
        (publication.job, publication.run, publication.table.name, publication.rows),
    )


def _exists(cursor: Cursor, schema: str) -> bool:
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
        "ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s)",
        (schema, LEDGER),
    )
    (found,) = cursor.fetchone() or (False,)
    return bool(found)


def _identifier(schema: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(LEDGER))
