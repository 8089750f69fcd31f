"""Publishing: Redshift loads what was committed, then the change and its ledger row are one transaction.

::

    ledger? ─▶ COPY, checks ─▶ staging, COMMIT │ ledger locked ─▶ ledger? ─▶ swap ─▶ ledger row ─▶ COMMIT
                                               └──────◀── a lock took too long, or somebody was first

Readers see the table before or the table after. A failure anywhere leaves what was. When the reply to
COMMIT is lost, the next call finds the ledger's row and does nothing. There are two transactions because the
second must begin with its lock (:mod:`.ledger`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused, SkfleetError, TryAgain
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import Leftover, Parts, Publication, Published
from skfleet_common.tables.redshift.build import Build
from skfleet_common.tables.redshift.connect import Cursor, Server
from skfleet_common.tables.redshift.ledger import (
    ensure_ledger,
    is_abandoned,
    lock_ledger,
    record,
    record_abandoned,
    rows_published,
)
from skfleet_common.tables.redshift.loading import fill, load
from skfleet_common.tables.redshift.locks import Held, is_conflict
from skfleet_common.tables.redshift.outputs import NO_ROLE, refuse_output
from skfleet_common.tables.redshift.staging import (
    drop_stagings,
    drop_table,
    make_staging,
    refuse_repeated_ids,
    staging_for,
    stagings,
)
from skfleet_common.tables.redshift.successor import appear, append, succeed, table_exists
from skfleet_common.tables.sql.pulse import pulse

#: How often the swap asks for its locks before all is left to a later attempt, which must load again.
SWAP_TRIES = 8
#: New readers queue up behind a swap that waits for old ones. So the first tries hardly wait; each waits
#: twice as long as the one before, the last LOCK_SECONDS.
FIRST_WAIT_SECONDS = 0.2
LOCK_SECONDS = 10.0
#: The longest pause between two tries: readers that queued up behind the swap go first.
SWAP_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class RedshiftPublisher:
    """The :class:`~skfleet_common.tables.port.Publisher` of Redshift."""

    server: Server
    #: With which Redshift reads the fleet's bucket: an ARN, or ``default``.
    iam_role: str | None

    def publish(
        self,
        publication: Publication,
        parts: Parts,
        *,
        alive: Callable[[], None] = lambda: None,
    ) -> Published:
        """Let Redshift load ``parts`` and make them the output; nothing is done if the job has published.

        Raises:
            JobFailed: the parts are not the rows that were promised, ids repeat, or the run was abandoned.
            Refused: the target is no longer what the preflight saw, or a right is missing.
            TryAgain: the connection broke, or others held the old table or the ledger for too long.
        """
        table = publication.table
        ensure_ledger(self.server, table.schema_name)
        staging = staging_for(table, publication.job, publication.run)
        published, build = self._look(publication)
        if published is None:
            try:
                self._load(staging, publication, parts, build, alive)
                with pulse(alive):
                    published = self._settle(staging, publication, build)
            except Exception:
                # After a lost reply to COMMIT, nothing has this name any more.
                with suppress(SkfleetError), self._writing(f"clearing up after {table}") as cursor:
                    drop_table(cursor, staging)
                raise
        with suppress(SkfleetError), self._writing(f"clearing up after {table}") as cursor:
            drop_stagings(cursor, table.schema_name, publication.job)
        return published

    def abandon(self, table: TableName, *, job: str, run: int) -> bool:
        """Rule out that a run ever publishes; False, with nothing done, if the job has published.

        Raises:
            Refused: the ledger cannot be written, so that no run can publish either.
            TryAgain: another worker is in the middle of the swap, or the connection broke.
        """
        ensure_ledger(self.server, table.schema_name)
        with self._writing(f"giving up publishing {table}") as cursor:
            lock_ledger(cursor, table.schema_name, seconds=LOCK_SECONDS)
            if rows_published(cursor, table.schema_name, job) is not None:
                return False
            record_abandoned(cursor, table, job, run)
        return True

    def leftovers(self) -> Sequence[Leftover]:
        """Give the staging tables that there are, in all schemas."""
        with self.server.transaction("looking for what publishers left behind") as cursor:
            return stagings(cursor)

    def remove(self, leftover: Leftover) -> None:
        """Drop a staging table; a publisher that is at it loads again."""
        with self._writing(f"removing {leftover.table}") as cursor:
            drop_table(cursor, leftover.table)

    def _writing(self, doing: str) -> AbstractContextManager[Cursor]:
        return self.server.transaction(doing, read_only=False)

    def _look(self, publication: Publication) -> tuple[Published | None, Build]:
        """Give what the job has published before, or else how the table that it replaces is built."""
        table = publication.table
        refusal: Refused | None = None
        build = Build()
        with self.server.transaction(f"looking at {table}") as cursor:
            try:
                old = refuse_output(
                    cursor,
                    table,
                    publication.columns,
                    if_exists=publication.if_exists,
                    cascade_views=publication.cascade_views,
                )
                build = build if old is None else old.build
            except Refused as refused:
                refusal = refused
        # In this order, and in two transactions: another worker may publish between the two looks.
        with self.server.transaction(f"looking at {table}") as cursor:
            rows = _rows_settled(cursor, publication)
        if rows is not None:
            return Published(rows=rows, is_new=False), build
        if refusal is not None:
            raise refusal
        return None, build

    def _load(
        self,
        staging: TableName,
        publication: Publication,
        parts: Parts,
        build: Build,
        alive: Callable[[], None],
    ) -> None:
        """Load and check the output, under a name that nobody else uses.

        Raises:
            JobFailed: it is not what was promised.
            Refused: Redshift cannot read it.
        """
        if self.iam_role is None:
            raise Refused(NO_ROLE)
        with parts.files() as manifest, pulse(alive), self._writing(f"loading {publication.table}") as cursor:
            loaded = load(cursor, publication, manifest, iam_role=self.iam_role)
            make_staging(cursor, staging, publication, build)
            fill(cursor, staging, loaded, publication)
            refuse_repeated_ids(cursor, staging, publication)

    def _settle(self, staging: TableName, publication: Publication, build: Build) -> Published:
        """Make what is loaded the output, and write it down, unless the job has published meanwhile."""
        for attempt in range(1, SWAP_TRIES + 1):
            seconds = max(FIRST_WAIT_SECONDS, LOCK_SECONDS / 2 ** (SWAP_TRIES - attempt))
            try:
                with self._writing(f"publishing {publication.table}") as cursor:
                    return _try_settle(cursor, staging, publication, build, seconds=seconds)
            except TryAgain as error:
                if attempt == SWAP_TRIES or not (isinstance(error, Held) or is_conflict(error.__cause__)):
                    raise
            time.sleep(min(seconds, SWAP_PAUSE_SECONDS))
        raise AssertionError  # the last try returns or raises


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


def _try_settle(
    cursor: Cursor, staging: TableName, publication: Publication, build: Build, *, seconds: float
) -> Published:
    table = publication.table
    # Before anything is read: see ledger.py.
    lock_ledger(cursor, table.schema_name, seconds=seconds)
    rows = _rows_settled(cursor, publication)
    if rows is not None:
        drop_table(cursor, staging)
        return Published(rows=rows, is_new=False)
    if publication.if_exists is IfExists.FAIL or not table_exists(cursor, table):
        appear(cursor, staging, table)
    elif publication.if_exists is IfExists.REPLACE:
        succeed(cursor, staging, publication, build, seconds=seconds)
    else:
        append(cursor, staging, publication)
    record(cursor, publication)
    return Published(rows=publication.rows, is_new=True)
