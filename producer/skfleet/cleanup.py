"""Clean-up: removes the leftovers of jobs from bucket and warehouse. Stopped anywhere, the next one goes on.

What a live job needs is never touched: whether a job is live is read before its objects, and jobs do not come
back, but for FAILED ones, whose retry is ruled out by one conditional write before anything of them goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from skfleet.leftovers import UNKNOWN_SECONDS, Folder, Why
from skfleet.progress import Steps
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import MAX_DELETE_KEYS, StoredObject
from skfleet_common.aws.tracker import NoSuchJob
from skfleet_common.aws.tracker_table import DAY_SECONDS
from skfleet_common.contracts.errors import SkfleetError, UsageError
from skfleet_common.contracts.jobs import Commit, JobRecord
from skfleet_common.contracts.shapes import NewerShape, UnreadableShape
from skfleet_common.contracts.states import JobState

if TYPE_CHECKING:
    from skfleet_common.tables.port import Publisher

OLDER_THAN_DAYS = 7.0


class Removed(BaseModel):
    """What went of one job, for one reason."""

    model_config = ConfigDict(frozen=True)

    job: str
    why: Why
    objects: int
    bytes: int


class CleanUp(BaseModel):
    """What a clean-up removed, or would remove."""

    model_config = ConfigDict(frozen=True)

    dry_run: bool
    older_than_days: float
    objects: int
    bytes: int
    removed: tuple[Removed, ...]
    #: Tables that publishers which died left in the warehouse.
    tables: tuple[str, ...] = ()
    #: Why the warehouse was not looked through, if it was not.
    warehouse: str | None = None
    #: Jobs left alone, because this skfleet cannot read what the tracker says of them.
    unreadable: tuple[str, ...]


@dataclass
class _Tally:
    objects: Counter[Why] = field(default_factory=Counter)
    bytes: Counter[Why] = field(default_factory=Counter)


def clean_up(
    cloud: Cloud,
    *,
    older_than_days: float = OLDER_THAN_DAYS,
    dry_run: bool = False,
    steps: Steps,
    open_publisher: Callable[[], Publisher] | None = None,
) -> CleanUp:
    """Remove what jobs left behind; what a dry run names, the same call removes.

    Without ``open_publisher``, or where the warehouse does not answer, its tables stay for the next time.

    Raises:
        UsageError: ``older_than_days`` is negative.
    """
    if not older_than_days >= 0:
        raise UsageError(f"--older-than must be 0 or more days, not {older_than_days:g}.")
    broom = _Broom(cloud, old_seconds=older_than_days * DAY_SECONDS, dry_run=dry_run)
    removed: list[Removed] = []
    unreadable: list[str] = []
    jobs = cloud.store.list_folders(cloud.names.jobs_prefix())
    with steps.step("Looking at jobs", total=len(jobs), unit="jobs") as step:
        for number, job in enumerate(jobs, start=1):
            try:
                removed += broom.sweep(job)
            except (NewerShape, UnreadableShape):
                unreadable.append(job)
            step.reach(number)
    tables: tuple[str, ...] = ()
    why_not: str | None = None
    if open_publisher is not None:
        try:
            tables = broom.sweep_warehouse(open_publisher())
        except SkfleetError as error:
            why_not = str(error)
    return CleanUp(
        tables=tables,
        warehouse=why_not,
        dry_run=dry_run,
        older_than_days=older_than_days,
        objects=sum(part.objects for part in removed),
        bytes=sum(part.bytes for part in removed),
        removed=tuple(removed),
        unreadable=tuple(unreadable),
    )


@dataclass(frozen=True)
class _Broom:
    cloud: Cloud
    old_seconds: float
    dry_run: bool

    def sweep(self, job: str) -> list[Removed]:
        """Remove the leftovers of one job."""
        # The record before the objects: what is written after a job has ended is nobody's.
        folder = Folder(self.cloud.names.job_prefix(job), self._record(job))
        if not self._may_sweep(folder):
            return []
        tally = _Tally()
        objects = self.cloud.store.list_objects(folder.prefix)
        while batch := list(islice(objects, MAX_DELETE_KEYS)):
            self._remove(job, folder, batch, tally)
        return [
            Removed(job=job, why=why, objects=count, bytes=tally.bytes[why])
            for why, count in tally.objects.items()
        ]

    def sweep_warehouse(self, publisher: Publisher) -> tuple[str, ...]:
        """Drop the tables of publishers that died; give their names.

        Raises:
            SkfleetError: the warehouse does not answer, or does not let this role.
        """
        swept: list[str] = []
        for found in publisher.leftovers():
            record = self._record(found.job)
            if record is None and found.age_seconds < UNKNOWN_SECONDS:
                continue
            if record is not None and not record.state.is_terminal:
                continue
            if not self.dry_run:
                publisher.remove(found)
            swept.append(str(found.table))
        return tuple(swept)

    def _record(self, job: str) -> JobRecord | None:
        try:
            return self.cloud.tracker.job(job)
        except NoSuchJob:
            return None

    def _may_sweep(self, folder: Folder) -> bool:
        """Whether anything of the job may go; a FAILED one cannot be retried from here on."""
        record = folder.record
        if record is None or (record.state is JobState.FAILED and record.collected_at is None):
            if not folder.is_due(self.cloud.store.list_objects(folder.prefix), old_seconds=self.old_seconds):
                return False
            return (
                record is None
                or self.dry_run
                or self.cloud.tracker.collect(record.job, run=record.run, at=datetime.now(UTC))
            )
        return record.state.is_terminal

    def _remove(self, job: str, folder: Folder, batch: list[StoredObject], tally: _Tally) -> None:
        commits = self._commits(job, folder, batch)
        keys: list[str] = []
        for found in batch:
            chunk = folder.chunk_of(found.key)
            commit = None if chunk is None else commits.get(chunk)
            why = folder.why(found, commit, old_seconds=self.old_seconds)
            if why is not None:
                keys.append(found.key)
                tally.objects[why] += 1
                tally.bytes[why] += found.size_bytes
        if not self.dry_run:
            self.cloud.store.delete(keys)

    def _commits(self, job: str, folder: Folder, batch: list[StoredObject]) -> dict[int, Commit]:
        """Give the commits that decide about a batch; those of a published job alone do."""
        if folder.state is not JobState.SUCCEEDED:
            return {}
        chunks = {chunk for found in batch if (chunk := folder.chunk_of(found.key)) is not None}
        return {commit.chunk: commit for commit in self.cloud.tracker.commits(job, chunks)}
