"""Publishing: load beside the target, then make the change and write it in the ledger, in one transaction.

::

    ledger? ─▶ COPY into staging ─▶ indexes, grants … ─▶ locks ─▶ ledger? ─▶ swap ─▶ ledger row ─▶ COMMIT
                                            ▲              ▲ │
                                            │              └─┤ a lock took too long
                                            └────────────────┘ the old table was altered

Readers see the table before or the table after. A failure anywhere leaves what was. When the reply to COMMIT
is lost, the next call finds the ledger's row and does nothing. Locks guard the swap alone: loading and
building indexes, which may take an hour, keep nobody waiting and are not done again for a reader's sake.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psycopg2 import errors

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import Leftover, Parts, Publication, Published
from skfleet_common.tables.postgres import connect
from skfleet_common.tables.postgres.addition import append
from skfleet_common.tables.postgres.belongings import Belongings, belongings_of, dress
from skfleet_common.tables.postgres.connect import Cursor, Server
from skfleet_common.tables.postgres.ledger import (
    ensure_ledger,
    is_abandoned,
    lock_name,
    record,
    record_abandoned,
    rows_published,
)
from skfleet_common.tables.postgres.load import copy_into
from skfleet_common.tables.postgres.outputs import refuse_output
from skfleet_common.tables.postgres.staging import make_staging, refuse_repeated_ids, staging_for
from skfleet_common.tables.postgres.successor import Altered, rename, succeed, wait_for_locks
from skfleet_common.tables.sql.pulse import pulse
from skfleet_common.tables.sql.selection import qualified

#: How often the swap asks for its locks before all is left to a later attempt, which must load again.
SWAP_TRIES = 12
#: New readers queue up behind a swap that waits for old ones. So the first tries hardly wait; each waits
#: twice as long as the one before, the last LOCK_SECONDS: all of them together twice that.
FIRST_WAIT_SECONDS = 0.05
#: The longest pause between two tries: readers that queued up behind the swap go first.
SWAP_PAUSE_SECONDS = 1.0
#: A publisher that was stopped between two statements (frozen, not dead) loses its locks after this time.
IDLE_SECONDS = 60


@dataclass(frozen=True)
class PostgresPublisher:
    """The :class:`~skfleet_common.tables.port.Publisher` of PostgreSQL."""

    server: Server

    def publish(
        self,
        publication: Publication,
        parts: Parts,
        *,
        alive: Callable[[], None] = lambda: None,
    ) -> Published:
        """Load ``parts`` and make them the output; nothing is done if the job has published before.

        Raises:
            JobFailed: the parts are not the rows that were promised, ids repeat, or the run was abandoned.
            Refused: the target is no longer what the preflight saw, or its constraints refuse the rows.
            TryAgain: the connection broke, or a reader held the old table for too long.
        """
        table = publication.table
        with self.server.transaction(f"preparing to publish {table}", read_only=False) as cursor:
            ensure_ledger(cursor, table.schema_name)
        with self.server.transaction(f"publishing {table}", read_only=False) as cursor:
            # In this order: another worker may publish between the two looks.
            refusal = _refusal(cursor, publication)
            rows = _rows_settled(cursor, publication)
            if rows is not None:
                return Published(rows=rows, is_new=False)
            if refusal is not None:
                raise refusal
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, true)",
                (str(IDLE_SECONDS * 1000),),
            )
            old = belongings_of(cursor, table) if publication.if_exists is IfExists.REPLACE else None
            staging = _load(cursor, publication, parts, old)
            with pulse(alive):
                refuse_repeated_ids(cursor, staging, publication)
                return _settle(cursor, staging, publication, old)

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
            if rows_published(cursor, table.schema_name, job) is not None:
                return False
            record_abandoned(cursor, table, job, run)
        return True

    def leftovers(self) -> Sequence[Leftover]:
        """Give none: staging is never committed under a name of its own."""
        return ()

    def remove(self, leftover: Leftover) -> None:
        """Raise: there is nothing to remove."""
        raise AssertionError(leftover)


def _refusal(cursor: Cursor, publication: Publication) -> Refused | None:
    """Give what stands in the way of the output, if anything does."""
    cursor.execute("SAVEPOINT looking")
    try:
        refuse_output(
            cursor,
            publication.table,
            publication.columns,
            if_exists=publication.if_exists,
            cascade_views=publication.cascade_views,
        )
    except Refused as refusal:
        cursor.execute("ROLLBACK TO SAVEPOINT looking")
        return refusal
    cursor.execute("RELEASE SAVEPOINT looking")
    return None


def _rows_settled(cursor: Cursor, publication: Publication) -> int | None:
    """Give the rows that the job has published before, if it has.

    Raises:
        JobFailed: somebody has ruled out that this run publishes.
    """
    schema = publication.table.schema_name
    rows = rows_published(cursor, schema, publication.job)
    if rows is None and is_abandoned(cursor, schema, publication.job, publication.run):
        raise JobFailed(
            f"Publishing job {publication.job} was given up before, by a worker or by skfleet cancel; "
            f"nothing was published. Take it up again with: skfleet retry {publication.job}"
        )
    return rows


def _load(cursor: Cursor, publication: Publication, parts: Parts, old: Belongings | None) -> TableName:
    """Load the parts beside the target, and check that they are as many as was promised."""
    table = publication.table
    staging = staging_for(table, publication.job, publication.run)
    make_staging(cursor, staging, publication.columns, None if old is None else old.build)
    names = [column.name for column in publication.columns]
    rows = copy_into(cursor, qualified(staging), names, parts.batches())
    if rows != publication.rows:
        raise JobFailed(
            f"The output of job {publication.job} has {rows:,} rows where {publication.rows:,} were "
            "scored; nothing was published: run the job again."
        )
    return staging


def _settle(
    cursor: Cursor, staging: TableName, publication: Publication, old: Belongings | None
) -> Published:
    """Make what is loaded the output, and write it down, unless the job has published meanwhile."""
    cursor.execute("SAVEPOINT undressed")
    if old is not None:
        old = _dress(cursor, staging, publication, old)
    for attempt in range(1, SWAP_TRIES + 1):
        cursor.execute("SAVEPOINT swap")
        seconds = max(FIRST_WAIT_SECONDS, connect.LOCK_SECONDS / 2 ** (SWAP_TRIES - attempt))
        wait_for_locks(cursor, seconds)
        try:
            return _try_settle(cursor, staging, publication, old)
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if attempt == SWAP_TRIES:
                raise
            # Gives back the locks that this try did get.
            cursor.execute("ROLLBACK TO SAVEPOINT swap")
            time.sleep(min(seconds, SWAP_PAUSE_SECONDS))
        except Altered:
            if attempt == SWAP_TRIES:
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT undressed")
            old = _dress(cursor, staging, publication, old)
    raise AssertionError  # the last try returns or raises


def _dress(
    cursor: Cursor, staging: TableName, publication: Publication, loaded_for: Belongings | None
) -> Belongings:
    """Dress staging like what the old table has become since it was loaded.

    Raises:
        Altered: it must be built and loaded in another way.
    """
    old = belongings_of(cursor, publication.table)
    if old is None or loaded_for is None or old.build != loaded_for.build:
        raise Altered(f"{publication.table} was altered while its successor was loaded; try again.")
    dress(cursor, staging, old, publication.columns)
    return old


def _try_settle(
    cursor: Cursor, staging: TableName, publication: Publication, old: Belongings | None
) -> Published:
    table = publication.table
    lock_name(cursor, table.schema_name, table.name)
    rows = _rows_settled(cursor, publication)
    if rows is not None:
        cursor.connection.rollback()
        return Published(rows=rows, is_new=False)
    if publication.if_exists is IfExists.APPEND:
        append(cursor, staging, publication)
    elif publication.if_exists is IfExists.REPLACE:
        succeed(cursor, staging, publication, old)
    else:
        rename(cursor, staging, table)
    record(cursor, publication)
    return Published(rows=publication.rows, is_new=True)
