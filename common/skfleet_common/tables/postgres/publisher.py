"""Publishing: load beside the target, then make the change and write it in the ledger, in one transaction.

Readers see the table before or the table after. A failure anywhere leaves what was. When the reply to COMMIT
is lost, the next call finds the ledger's row and does nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg2
import pyarrow as pa
from psycopg2 import errorcodes, sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres.connect import Cursor, Server
from skfleet_common.tables.postgres.ledger import ensure_ledger, has_published, lock_name, record
from skfleet_common.tables.postgres.load import copy_into
from skfleet_common.tables.postgres.outputs import refuse_output
from skfleet_common.tables.postgres.selection import qualified


@dataclass(frozen=True)
class PostgresPublisher:
    """The :class:`~skfleet_common.tables.port.Publisher` of PostgreSQL."""

    server: Server

    def publish(self, publication: Publication, parts: Iterable[pa.RecordBatch]) -> bool:
        """Load ``parts`` and make them the output; False, with nothing done, if the job has published before.

        Raises:
            JobFailed: the parts do not hold the rows that were promised.
            Refused: the target is no longer what the preflight saw.
            TryAgain: the connection broke, or a reader held the old table for too long.
        """
        table = publication.table
        with self.server.transaction(f"preparing to publish {table}", read_only=False) as cursor:
            ensure_ledger(cursor, table.schema_name)
        with self.server.transaction(f"publishing {table}", read_only=False) as cursor:
            lock_name(cursor, table.schema_name, table.name)
            if has_published(cursor, table.schema_name, publication.job):
                return False
            refuse_output(cursor, table, publication.columns, if_exists=publication.if_exists)
            staging = _make_staging(cursor, publication)
            names = [column.name for column in publication.columns]
            rows = copy_into(cursor, qualified(staging), names, parts)
            if rows != publication.rows:
                raise JobFailed(
                    f"The output of job {publication.job} has {rows:,} rows where {publication.rows:,} were "
                    "scored; nothing was published: run the job again."
                )
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
