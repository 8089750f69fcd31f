"""A job as its user sees it: status, progress and waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from skfleet.cancellation import cancel
from skfleet.effect import Effect
from skfleet.progress import Silent, Steps
from skfleet.resume import resume
from skfleet.retry import retry
from skfleet.runs import chunk_plan, chunks_of_run
from skfleet.stalls import StallNotes, find_stall
from skfleet.troubles import ChunkTrouble, list_troubles
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.aws.tracker import Progress
from skfleet_common.contracts.certificates import Certificate
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.errors import JobFailed, UsageError, WaitTimedOut
from skfleet_common.contracts.jobs import CommitOutcome, JobRecord
from skfleet_common.contracts.stalls import Straggler
from skfleet_common.contracts.states import JobState
from skfleet_common.settings import Settings

if TYPE_CHECKING:
    from skfleet_common.tables.port import Publisher

#: How often a waiting command looks: quick at first, then one look in five seconds costs nothing.
FIRST_LOOK_SECONDS = 0.2
SLOWEST_LOOK_SECONDS = 5.0

#: Failed chunks that ``status`` lists in full; the counts always tell of all.
FAILURES_SHOWN = 20

DEFAULT_STALL_SECONDS: float = Settings().stall_seconds


#: The progress of a job without chunks.
NOTHING = Progress(frozenset(), frozenset())


class ChunkFailure(BaseModel):
    """Why a chunk failed."""

    model_config = ConfigDict(frozen=True)

    chunk: int
    reason: str
    worker: str
    attempt: str
    attempts: int = 1


class JobStatus(BaseModel):
    """Where a job stands; ``rows_done`` counts planned rows of committed chunks."""

    model_config = ConfigDict(frozen=True)

    job: str
    state: JobState
    run: int
    model: str
    digest: str
    table: str
    output_table: str
    rows: int
    rows_done: int
    rows_scored: int | None
    rows_rejected: int | None
    chunks: int
    chunks_done: int
    chunks_failed: int
    created_at: datetime
    finished_at: datetime | None
    seconds: float
    eta_seconds: float | None
    reason: str | None
    failures: tuple[ChunkFailure, ...] = ()
    #: What the job is known to have done; None before it SUCCEEDED.
    certificate: Certificate | None = None
    troubles: tuple[ChunkTrouble, ...] = ()
    #: Set while the job has had no commit for longer than SKFLEET_STALL_SECONDS; then the next two are, too.
    stalled_seconds: float | None = None
    stragglers: tuple[Straggler, ...] = ()
    workers_alive: int | None = None


class Job:
    """A submitted job. Any process that talks to the same fleet can get it by its id."""

    def __init__(
        self,
        record: JobRecord,
        cloud: Cloud,
        *,
        stall_seconds: float = DEFAULT_STALL_SECONDS,
        open_publisher: Callable[[], Publisher] | None = None,
    ) -> None:
        self._record = record
        self._cloud = cloud
        self._stall_seconds = stall_seconds
        self._open_publisher = open_publisher
        self._plan: ChunkPlan | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self._record.job

    @property
    def record(self) -> JobRecord:
        """What the tracker said of the job when this object was made."""
        return self._record

    def __repr__(self) -> str:
        """Give the id and the output table."""
        return f"Job({self.id!r}, output_table={str(self._record.output_table)!r})"

    def status(self) -> JobStatus:
        """Look where the job stands now."""
        record = self._cloud.tracker.job(self.id)
        progress = NOTHING
        if record.run_chunks:
            progress = self._cloud.tracker.progress(record.job, record.run, record.run_chunks)
        plan = self._chunk_plan()
        chunks = chunks_of_run(self._cloud, record, plan)
        # What is in no chunk of this run was done in an earlier one.
        rows_done = plan.rows - sum(chunk.rows for chunk in chunks)
        rows_done += sum(chunks[position].rows for position in progress.done)
        now = record.finished_at or datetime.now(UTC)
        seconds = max(0.0, (now - record.created_at).total_seconds())
        tracker = self._cloud.tracker

        def missing() -> list[int]:
            return [chunk.number for place, chunk in enumerate(chunks) if place not in progress.done]

        stall = find_stall(tracker, record, progress, missing, stall_seconds=self._stall_seconds, now=now)
        return JobStatus(
            job=record.job,
            state=record.state,
            run=record.run,
            model=record.model,
            digest=record.digest,
            table=str(record.table),
            output_table=str(record.output_table),
            rows=record.rows,
            rows_done=rows_done,
            rows_scored=record.rows_scored,
            rows_rejected=record.rows_rejected,
            chunks=record.chunks,
            chunks_done=record.chunks - len(chunks) + len(progress.done - progress.failed),
            chunks_failed=len(progress.failed),
            created_at=record.created_at,
            finished_at=record.finished_at,
            seconds=seconds,
            eta_seconds=_eta(record, rows_done=rows_done, seconds=seconds),
            reason=record.reason,
            failures=self._failures(chunks[position].number for position in sorted(progress.failed)),
            certificate=self._certificate(record),
            troubles=list_troubles(tracker, record, missing),
            stalled_seconds=stall.seconds if stall else None,
            stragglers=stall.stragglers if stall else (),
            workers_alive=stall.workers if stall else None,
        )

    def certificate(self) -> Certificate | None:
        """Give what the job is known to have done; None before it SUCCEEDED."""
        return self._certificate(self._cloud.tracker.job(self.id))

    def wait(
        self,
        timeout_seconds: float | None = None,
        *,
        steps: Steps | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> JobStatus:
        """Wait until the job has ended, and give its last status.

        Raises:
            JobFailed: it ended without publishing; the sentence says why.
            WaitTimedOut: it goes on, but ``timeout_seconds`` have passed.
        """
        began = clock()
        pause = FIRST_LOOK_SECONDS
        steps = steps or Silent()
        notes = StallNotes(steps.note)
        with steps.step("Scoring", total=self._record.rows) as step:
            while True:
                status = self.status()
                step.reach(status.rows_done, status.rows)
                if status.state.is_terminal:
                    break
                notes.see(status)
                left = None if timeout_seconds is None else timeout_seconds - (clock() - began)
                if left is not None and left <= 0:
                    raise WaitTimedOut(
                        f"Job {self.id} is still {status.state} after {timeout_seconds:g} seconds; "
                        f"wait again with: skfleet wait {self.id}"
                    )
                sleep(pause if left is None else min(pause, left))
                pause = min(pause * 1.2, SLOWEST_LOOK_SECONDS)
        if status.state is not JobState.SUCCEEDED:
            reason = status.reason or "No reason was recorded."
            raise JobFailed(f"Job {self.id} {status.state}: {reason}")
        return status

    def cancel(self) -> Effect:
        """End the job; its output table stays as it is. An ended job stays as it ended.

        Raises:
            Refused: it has published, so it succeeds.
        """
        if self._open_publisher is None:
            raise UsageError("This job knows no warehouse; get it from a fleet, with fleet.job(...).")
        return cancel(self._cloud, self.id, open_publisher=self._open_publisher)

    def retry(self, *, steps: Steps | None = None) -> Effect:
        """Take the chunks of a FAILED job that are not done up again, in a new run.

        Raises:
            Refused: it succeeded, was cancelled, or clean-up has removed its outputs.
        """
        return retry(self._cloud, self.id, steps=steps or Silent())

    def resume(self, *, steps: Steps | None = None) -> Effect:
        """Send again what the job waits for: its producer died while sending, or the queue was purged.

        Raises:
            Refused: it FAILED; that is for :meth:`retry`.
        """
        return resume(self._cloud, self.id, steps=steps or Silent())

    def _chunk_plan(self) -> ChunkPlan:
        if self._plan is None:
            self._plan = chunk_plan(self._cloud, self.id)
        return self._plan

    def _certificate(self, record: JobRecord) -> Certificate | None:
        if record.state is not JobState.SUCCEEDED:
            return None
        try:
            return Certificate.from_json(self._cloud.store.get(self._cloud.names.certificate(record.job)))
        except NoSuchObject:
            return None  # clean-up took it

    def _failures(self, failed: Iterable[int]) -> tuple[ChunkFailure, ...]:
        commits = self._cloud.tracker.commits(self.id, islice(failed, FAILURES_SHOWN))
        return tuple(
            ChunkFailure(
                chunk=commit.chunk,
                reason=commit.reason or "",
                worker=commit.worker,
                attempt=commit.attempt,
                attempts=commit.attempts,
            )
            for commit in commits
            if commit.outcome is CommitOutcome.FAILED
        )


def find_job(
    cloud: Cloud,
    job: str,
    *,
    stall_seconds: float = DEFAULT_STALL_SECONDS,
    open_publisher: Callable[[], Publisher] | None = None,
) -> Job:
    """Give a job by its id.

    Raises:
        NoSuchJob: there is none.
    """
    return Job(cloud.tracker.job(job), cloud, stall_seconds=stall_seconds, open_publisher=open_publisher)


def newest_jobs(
    cloud: Cloud, limit: int, *, open_publisher: Callable[[], Publisher] | None = None
) -> list[Job]:
    """Give the newest jobs, newest first."""
    return [Job(record, cloud, open_publisher=open_publisher) for record in cloud.tracker.jobs(limit)]


def _eta(record: JobRecord, *, rows_done: int, seconds: float) -> float | None:
    """Give the seconds that are left at the speed so far; None before the first commit and after the end."""
    if record.state.is_terminal or not rows_done:
        return None
    return seconds * (record.rows - rows_done) / rows_done
