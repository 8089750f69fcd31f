"""The ledger of publications: how a lost reply to COMMIT is told from a failed one.

A row is written by whoever holds the ledger's lock, and says one of two things for ever: the run has
published, or it was abandoned and never will. Redshift takes a transaction's snapshot at its first SELECT,
DML or CREATE ("Isolation levels in Amazon Redshift"), and not at LOCK: whoever locks first, and reads then,
reads what everybody before has written. So the lock proves it at both of Redshift's levels, SNAPSHOT and
SERIALIZABLE; without it, SNAPSHOT, which is the default, would let two publishers add the same rows.
"""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg2
from psycopg2 import errorcodes, sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused, TryAgain
from skfleet_common.tables.port import Publication
from skfleet_common.tables.redshift.connect import Cursor, Server
from skfleet_common.tables.redshift.locks import is_conflict, lock_table
from skfleet_common.tables.sql.ledger import LEDGER

#: Two that make it at once may hinder each other; the third time somebody has made it.
_MAKING_TRIES = 3
_MADE_MEANWHILE = frozenset({errorcodes.DUPLICATE_TABLE, errorcodes.UNIQUE_VIOLATION})


def ensure_ledger(server: Server, schema: str) -> None:
    """Make the ledger of a schema if it is not there.

    Raises:
        Refused: the role may not.
        TryAgain: others kept being in the middle of it.
    """
    doing = f"looking for {schema}.{LEDGER}"
    for _ in range(_MAKING_TRIES):
        with server.transaction(doing) as cursor:
            if _exists(cursor, schema):
                return
        with server.transaction(doing, read_only=False) as cursor:
            if _made(cursor, schema):
                return
    raise TryAgain(f"Others are making {schema}.{LEDGER}; try again.")


def lock_ledger(cursor: Cursor, schema: str, *, seconds: float) -> None:
    """Keep every other publisher off all tables of a schema until this transaction ends. It comes first.

    Raises:
        Held: others had it for too long.
    """
    try:
        lock_table(cursor, TableName(schema_name=schema, name=LEDGER), seconds=seconds)
    except psycopg2.Error as exc:
        if exc.pgcode != errorcodes.INSUFFICIENT_PRIVILEGE:
            raise
        raise Refused(
            f"The warehouse role may not lock {schema}.{LEDGER}, where publications are recorded; grant it "
            "SELECT, INSERT, UPDATE and DELETE on it."
        ) from exc


def rows_published(cursor: Cursor, schema: str, job: str) -> int | None:
    """Give the rows that any run of a job has published; None if a run may still do it."""
    cursor.execute(
        sql.SQL('SELECT "rows" FROM {} WHERE "job" = %s AND NOT "abandoned"').format(_identifier(schema)),
        (job,),
    )
    found = cursor.fetchone()
    return None if found is None else int(found[0])


def is_abandoned(cursor: Cursor, schema: str, job: str, run: int) -> bool:
    """Whether somebody has ruled out that this run ever publishes."""
    cursor.execute(
        sql.SQL('SELECT count(*) FROM {} WHERE "job" = %s AND "run" = %s AND "abandoned"').format(
            _identifier(schema)
        ),
        (job, run),
    )
    (found,) = cursor.fetchone() or (0,)
    return bool(found)


def record(cursor: Cursor, publication: Publication) -> None:
    """Write that a publication is done, in the transaction that does it."""
    table = publication.table
    _insert(cursor, table, publication.job, publication.run, rows=publication.rows, abandoned=False)


def record_abandoned(cursor: Cursor, table: TableName, job: str, run: int) -> None:
    """Write that a run will never publish; a second time it changes nothing."""
    if not is_abandoned(cursor, table.schema_name, job, run):
        _insert(cursor, table, job, run, rows=0, abandoned=True)


def _insert(cursor: Cursor, table: TableName, job: str, run: int, *, rows: int, abandoned: bool) -> None:
    cursor.execute(
        sql.SQL(
            'INSERT INTO {} ("job", "run", "table", "rows", "published_at", "abandoned") '
            "VALUES (%s, %s, %s, %s, %s, %s)"
        ).format(_identifier(table.schema_name)),
        # The time is for people: nothing is decided by it.
        (job, run, table.name, rows, datetime.now(UTC), abandoned),
    )


def _made(cursor: Cursor, schema: str) -> bool:
    """Make the ledger; whether it is made: somebody else may be making it, and then this one gives way."""
    try:
        # No primary key: Redshift would not enforce it, but believe it.
        cursor.execute(
            sql.SQL(
                'CREATE TABLE IF NOT EXISTS {} ("job" varchar(256) NOT NULL, "run" integer NOT NULL, '
                '"table" varchar(127) NOT NULL, "rows" bigint NOT NULL, "published_at" timestamptz NOT NULL, '
                '"abandoned" boolean NOT NULL)'
            ).format(_identifier(schema))
        )
        cursor.connection.commit()
    except psycopg2.Error as exc:
        if is_conflict(exc) or exc.pgcode in _MADE_MEANWHILE:
            cursor.connection.rollback()
            return False
        if exc.pgcode != errorcodes.INSUFFICIENT_PRIVILEGE:
            raise
        raise Refused(
            f"The warehouse role may not make {schema}.{LEDGER}, where publications are recorded; grant it "
            f"USAGE and CREATE on schema {schema}."
        ) from exc
    return True


def _exists(cursor: Cursor, schema: str) -> bool:
    cursor.execute(
        "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        (schema, LEDGER),
    )
    (found,) = cursor.fetchone() or (0,)
    return bool(found)


def _identifier(schema: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(LEDGER))
