"""A job as its user sees it: status, progress and waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from pydantic import BaseModel, ConfigDict

from skfleet.progress import Silent, Steps
from skfleet.stalls import StallNotes, find_stall
from skfleet.troubles import ChunkTrouble, list_troubles
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import Progress
from skfleet_common.contracts.chunks import Chunk, ChunkPlan
from skfleet_common.contracts.errors import JobFailed, WaitTimedOut
from skfleet_common.contracts.jobs import CommitOutcome, JobRecord
from skfleet_common.contracts.runs import RunPlan
from skfleet_common.contracts.stalls import Straggler
from skfleet_common.contracts.states import JobState
from skfleet_common.settings import Settings

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
    troubles: tuple[ChunkTrouble, ...] = ()
    #: Set while the job has had no commit for longer than SKFLEET_STALL_SECONDS; then the next two are, too.
    stalled_seconds: float | None = None
    stragglers: tuple[Straggler, ...] = ()
    workers_alive: int | None = None


class Job:
    """A submitted job. Any process that talks to the same fleet can get it by its id."""

    def __init__(
        self, record: JobRecord, cloud: Cloud, *, stall_seconds: float = DEFAULT_STALL_SECONDS
    ) -> None:
        self._record = record
        self._cloud = cloud
        self._stall_seconds = stall_seconds
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
        rows = [chunk.rows for chunk in self._chunks()]
        rows_done = sum(rows[position] for position in progress.done)
        now = record.finished_at or datetime.now(UTC)
        seconds = max(0.0, (now - record.created_at).total_seconds())
        tracker = self._cloud.tracker
        missing = partial(self._missing, record, progress)
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
            chunks_done=len(progress.done - progress.failed),
            chunks_failed=len(progress.failed),
            created_at=record.created_at,
            finished_at=record.finished_at,
            seconds=seconds,
            eta_seconds=_eta(record, rows_done=rows_done, seconds=seconds),
            reason=record.reason,
            failures=self._failures(record, progress),
            troubles=list_troubles(tracker, record, missing),
            stalled_seconds=stall.seconds if stall else None,
            stragglers=stall.stragglers if stall else (),
            workers_alive=stall.workers if stall else None,
        )

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

    def _chunks(self) -> tuple[Chunk, ...]:
        if self._plan is None:
            self._plan = ChunkPlan.from_json(self._cloud.store.get(self._cloud.names.plan(self.id)))
        return self._plan.chunks

    def _numbers(self, record: JobRecord) -> Sequence[int]:
        """Give the chunks of the present run, by their positions in its tree."""
        if record.run == 1:
            return [chunk.number for chunk in self._chunks()]
        raw = self._cloud.store.get(self._cloud.names.run_plan(record.job, record.run))
        return RunPlan.from_json(raw).chunks

    def _missing(self, record: JobRecord, progress: Progress) -> list[int]:
        """Give the chunks of the present run that have no commit yet."""
        numbers = self._numbers(record)
        return [number for position, number in enumerate(numbers) if position not in progress.done]

    def _failures(self, record: JobRecord, progress: Progress) -> tuple[ChunkFailure, ...]:
        if not progress.failed:
            return ()
        numbers = self._numbers(record)
        failed = sorted(numbers[position] for position in progress.failed)
        commits = self._cloud.tracker.commits(self.id, failed[:FAILURES_SHOWN])
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


def find_job(cloud: Cloud, job: str, *, stall_seconds: float = DEFAULT_STALL_SECONDS) -> Job:
    """Give a job by its id.

    Raises:
        NoSuchJob: there is none.
    """
    return Job(cloud.tracker.job(job), cloud, stall_seconds=stall_seconds)


def newest_jobs(cloud: Cloud, limit: int) -> list[Job]:
    """Give the newest jobs, newest first."""
    return [Job(record, cloud) for record in cloud.tracker.jobs(limit)]


def _eta(record: JobRecord, *, rows_done: int, seconds: float) -> float | None:
    """Give the seconds that are left at the speed so far; None before the first commit and after the end."""
    if record.state.is_terminal or not rows_done:
        return None
    return seconds * (record.rows - rows_done) / rows_done
