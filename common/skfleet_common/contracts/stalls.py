"""Stalls and stragglers: how long a job has been quiet, and who holds what is left of it.

Times of several hosts are compared here: for people and metrics alone, nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import NonNegativeInt

from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.shapes import Shape
from skfleet_common.contracts.workers import WorkerPresence


class Straggler(Shape):
    """A chunk that keeps a job waiting, and a worker that holds it; one that nobody holds names no worker."""

    #: None for the publication.
    chunk: NonNegativeInt | None
    worker: str | None = None
    host: str | None = None
    attempts: int | None = None
    #: How long the worker has held it, and how many rows it has read, when it last announced itself.
    seconds: float | None = None
    rows_read: int | None = None

    def __str__(self) -> str:
        """Name it in words for people."""
        what = "the publication" if self.chunk is None else f"chunk {self.chunk}"
        if self.worker is None:
            return f"{what}, which no worker holds"
        return f"{what}, held by {self.worker} for {self.seconds or 0.0:.0f} s"


def quiet_seconds(record: JobRecord, *, last_at: datetime | None, now: datetime) -> float:
    """Give how long ago the last commit of a job's present run was, or else the run's beginning."""
    began = record.created_at if record.run == 1 else record.run_started_at
    since = last_at or began
    # A run whose beginning nobody noted is not said to be quiet until its first commit.
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def stragglers(
    record: JobRecord, missing: Sequence[int], workers: Sequence[WorkerPresence], *, limit: int
) -> tuple[Straggler, ...]:
    """Give what is held of a job that has ``missing`` chunks left, then what nobody holds, in chunk order."""
    wanted = {*missing, None}
    held = [
        Straggler(
            chunk=holding.chunk,
            worker=worker.worker,
            host=worker.host,
            attempts=holding.attempts,
            seconds=holding.seconds,
            rows_read=holding.rows_read,
        )
        for worker in workers
        for holding in worker.holdings
        if (holding.job, holding.run) == (record.job, record.run) and holding.chunk in wanted
    ]
    held.sort(key=lambda straggler: (straggler.chunk is None, straggler.chunk or 0))
    known = {straggler.chunk for straggler in held}
    unheld = [Straggler(chunk=chunk) for chunk in missing if chunk not in known]
    if not missing and not held:
        # Every chunk is committed, and nobody publishes.
        unheld = [Straggler(chunk=None)]
    return tuple((held + unheld)[:limit])
