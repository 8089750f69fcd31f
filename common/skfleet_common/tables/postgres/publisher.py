"""Publishing: load beside the target, then make the change and write it in the ledger, in one transaction.

::

    ledger? ─▶ COPY into staging ─▶ SAVEPOINT ─▶ lock ─▶ ledger? ─▶ swap ─▶ ledger row ─▶ COMMIT
                                        ▲                          │
                                        └──── a lock took too long ┘

Readers see the table before or the table after. A failure anywhere leaves what was. When the reply to COMMIT
is lost, the next call finds the ledger's row and does nothing. Locks guard the swap alone: loading, which may
take an hour, keeps nobody waiting, and is not done again because somebody reads the old table.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg2
import pyarrow as pa
from psycopg2 import errorcodes, errors, sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres.connect import Cursor, Server
from skfleet_common.tables.postgres.ledger import (
    ensure_ledger,
    has_published,
    is_abandoned,
    lock_name,
    record,
    record_abandoned,
)
from skfleet_common.tables.postgres.load import copy_into
from skfleet_common.tables.postgres.outputs import refuse_output
from skfleet_common.tables.postgres.selection import qualified

#: How often the swap asks for its locks before all is left to a later attempt, which must load again.
SWAP_TRIES = 3
#: Pause between two tries: readers that queued up behind the swap go first.
SWAP_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class PostgresPublisher:
    """The :class:`~skfleet_common.tables.port.Publisher` of PostgreSQL."""

    server: Server

    def publish(self, publication: Publication, parts: Iterable[pa.RecordBatch]) -> bool:
        """Load ``parts`` and make them the output; False, with nothing done, if the job has published before.

        Raises:
            JobFailed: the parts do not hold the rows that were promised, or the run was abandoned.
            Refused: the target is no longer what the preflight saw.
            TryAgain: the connection broke, or a reader held the old table for too long.
        """
        table = publication.table
        with self.server.transaction(f"preparing to publish {table}", read_only=False) as cursor:
            ensure_ledger(cursor, table.schema_name)
        with self.server.transaction(f"publishing {table}", read_only=False) as cursor:
            # In this order: another worker may publish between the two looks.
            refusal = _refusal(cursor, publication)
            if _is_settled(cursor, publication):
                return False
            if refusal is not None:
                raise refusal
            staging = _make_staging(cursor, publication)
            names = [column.name for column in publication.columns]
            rows = copy_into(cursor, qualified(staging), names, parts)
            if rows != publication.rows:
                raise JobFailed(
                    f"The output of job {publication.job} has {rows:,} rows where {publication.rows:,} were "
                    "scored; nothing was published: run the job again."
                )
            if not _settle(cursor, staging, publication):
                cursor.connection.rollback()
                return False
        return True

    def abandon(self, table: TableName, *, job: str, run: int) -> bool:
        """Rule out that a run ever publishes; False, with nothing done, if the job has published.

        Raises:
            Refused: the ledger cannot be written, so that no run can publish either.
            TryAgain: another worker is in the middle of the swap, or the connection broke.
        """
        with self.server.transaction(f"giving up publishing {table}", read_only=False) as cursor:
            ensure_ledger(cursor, table.schema_name)
        with self.server.transaction(f"giving up publishing {table}", read_only=False) as cursor:
            lock_name(cursor, table.schema_name, table.name)
            if has_published(cursor, table.schema_name, job):
                return False
            record_abandoned(cursor, table, job, run)
        return True


def _refusal(cursor: Cursor, publication: Publication) -> Refused | None:
    """Give what stands in the way of the output, if anything does."""
    cursor.execute("SAVEPOINT looking")
    try:
        refuse_output(cursor, publication.table, publication.columns, if_exists=publication.if_exists)
    except Refused as refusal:
        cursor.execute("ROLLBACK TO SAVEPOINT looking")
        return refusal
    return None


def _is_settled(cursor: Cursor, publication: Publication) -> bool:
    """Whether the job has published before.

    Raises:
        JobFailed: somebody has ruled out that this run publishes.
    """
    schema = publication.table.schema_name
    if has_published(cursor, schema, publication.job):
        return True
    if is_abandoned(cursor, schema, publication.job, publication.run):
        raise JobFailed(
            f"Publishing job {publication.job} was given up before; nothing was published: "
            "submit the job again."
        )
    return False


def _settle(cursor: Cursor, staging: TableName, publication: Publication) -> bool:
    """Make what is loaded the output, and write it down; False if the job has published meanwhile."""
    for attempt in range(1, SWAP_TRIES + 1):
        cursor.execute("SAVEPOINT swap")
        try:
            return _try_settle(cursor, staging, publication)
        except errors.LockNotAvailable:
            if attempt == SWAP_TRIES:
                raise
        # Gives back the locks that this try did get.
        cursor.execute("ROLLBACK TO SAVEPOINT swap")
        time.sleep(SWAP_PAUSE_SECONDS)
    raise AssertionError  # the last try returns or raises


def _try_settle(cursor: Cursor, staging: TableName, publication: Publication) -> bool:
    table = publication.table
    lock_name(cursor, table.schema_name, table.name)
    if _is_settled(cursor, publication):
        return False
    if publication.if_exists is IfExists.APPEND:
        _append(cursor, staging, publication)
    else:
        _swap(cursor, staging, publication)
    record(cursor, publication)
    return True


def _make_staging(cursor: Cursor, publication: Publication) -> TableName:
    """Make an empty table of the output's columns, which nobody else sees before the commit."""
    digest = hashlib.sha256(publication.job.encode()).hexdigest()[:16]
    staging = TableName(
        schema_name=publication.table.schema_name,
        name=f"skfleet_staging_{digest}_{publication.run}_{secrets.token_hex(4)}",
    )
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(column.warehouse_type),  # refuse_output has proven it to be one type's name
            sql.SQL("" if column.nullable else " NOT NULL"),
        )
        for column in publication.columns
    ]
    cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(qualified(staging), sql.SQL(", ").join(columns)))
    return staging


def _append(cursor: Cursor, staging: TableName, publication: Publication) -> None:
    table = publication.table
    if not _exists(cursor, table):
        _rename(cursor, staging, table)
        return
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in publication.columns)
    cursor.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
            qualified(table), names, names, qualified(staging)
        )
    )
    cursor.execute(sql.SQL("DROP TABLE {}").format(qualified(staging)))


def _swap(cursor: Cursor, staging: TableName, publication: Publication) -> None:
    table = publication.table
    if publication.if_exists is IfExists.REPLACE and _exists(cursor, table):
        _copy_grants(cursor, table, staging)
        _drop(cursor, table)
    _rename(cursor, staging, table)


def _exists(cursor: Cursor, table: TableName) -> bool:
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
        "ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s)",
        (table.schema_name, table.name),
    )
    (found,) = cursor.fetchone() or (False,)
    return bool(found)


def _copy_grants(cursor: Cursor, old: TableName, new: TableName) -> None:
    """Let everyone who could use the old table use the new one."""
    cursor.execute(
        "SELECT CASE grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(grantee)::text END, "
        "privilege_type, is_grantable "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, "
        "pg_catalog.aclexplode(c.relacl) WHERE n.nspname = %s AND c.relname = %s AND grantee <> relowner",
        (old.schema_name, old.name),
    )
    for role, privilege, is_grantable in cursor.fetchall():
        cursor.execute(
            sql.SQL("GRANT {} ON {} TO {}{}").format(
                sql.SQL(privilege),
                qualified(new),
                sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
                sql.SQL(" WITH GRANT OPTION" if is_grantable else ""),
            )
        )


def _drop(cursor: Cursor, table: TableName) -> None:
    try:
        cursor.execute(sql.SQL("DROP TABLE {}").format(qualified(table)))
    except psycopg2.Error as exc:
        if exc.pgcode != errorcodes.DEPENDENT_OBJECTS_STILL_EXIST:
            raise
        raise Refused(
            f"{table} cannot be replaced, because something has come to depend on it; nothing was published: "
            "drop that and run the job again."
        ) from exc


def _rename(cursor: Cursor, staging: TableName, table: TableName) -> None:
    try:
        cursor.execute(
            sql.SQL("ALTER TABLE {} RENAME TO {}").format(qualified(staging), sql.Identifier(table.name))
        )
    except psycopg2.Error as exc:
        if exc.pgcode != errorcodes.DUPLICATE_TABLE:
            raise
        raise Refused(
            f"{table} has come to exist while the job ran; nothing was published: drop it, or run again "
            "with another --output-table."
        ) from exc
