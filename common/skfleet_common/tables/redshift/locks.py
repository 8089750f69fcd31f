"""Locks: Redshift's only one shuts everybody out of a table, readers too, so it is asked for briefly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errorcodes, sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import TryAgain
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.sql.selection import qualified

#: "Troubleshooting serializable isolation errors" (Amazon Redshift guide): the message is the number.
_CONFLICT = re.compile(
    r"^\s*1023\b|serializable isolation violation|could not complete because of conflict", re.IGNORECASE
)

_CONFLICTS = frozenset(
    {errorcodes.SERIALIZATION_FAILURE, errorcodes.DEADLOCK_DETECTED, errorcodes.LOCK_NOT_AVAILABLE}
)


class Held(TryAgain):
    """Somebody else had a lock for too long, or was first. The publisher tries the swap again."""


def lock_table(cursor: Cursor, table: TableName, *, seconds: float) -> None:
    """Lock a table until the transaction ends.

    Raises:
        Held: others had it for too long.
    """
    with waiting(cursor, table, seconds=seconds):
        cursor.execute(sql.SQL("LOCK TABLE {}").format(qualified(table)))


@contextmanager
def waiting(cursor: Cursor, table: TableName, *, seconds: float) -> Iterator[None]:
    """Let the block's statements wait for a lock on ``table`` no longer than that.

    There is no limit to the wait for a lock but the one for statements ("statement_timeout").

    Raises:
        Held: others had it for too long.
    """
    cursor.execute("SHOW statement_timeout")
    ((standing,),) = cursor.fetchall()
    cursor.execute("SET statement_timeout TO %s", (max(1, round(seconds * 1000)),))
    try:
        yield
    except psycopg2.Error as exc:
        if exc.pgcode != errorcodes.QUERY_CANCELED and not is_conflict(exc):
            raise
        raise Held(
            f"Others hold {table}, so it could not be locked within {seconds:g} s; it is tried again."
        ) from exc
    cursor.execute("SET statement_timeout TO %s", (standing,))


def is_conflict(error: BaseException | None) -> bool:
    """Whether Redshift ended a transaction for the sake of another one."""
    if not isinstance(error, psycopg2.Error):
        return False
    said = f"{error.diag.message_primary or ''}\n{error.diag.message_detail or ''}"
    return error.pgcode in _CONFLICTS or _CONFLICT.search(said) is not None
