"""Status: where a job stands, read from its record, its tree, its commits and what was planned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from pydantic import BaseModel, ConfigDict

from skfleet.runs import PlanLost, chunks_of_run
from skfleet.stalls import find_stall
from skfleet.troubles import ChunkTrouble, list_troubles
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.aws.tracker import Progress
from skfleet_common.contracts.certificates import Certificate
from skfleet_common.contracts.chunks import Chunk, ChunkPlan
from skfleet_common.contracts.jobs import CommitOutcome, JobRecord, ModelRef
from skfleet_common.contracts.shifts import Shift
from skfleet_common.contracts.stalls import Straggler
from skfleet_common.contracts.states import JobState

#: Failed chunks that ``status`` lists in full; the counts always tell of all.
FAILURES_SHOWN = 20

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
    """Where a job stands; ``rows_done`` counts planned rows of chunks that are done."""

    model_config = ConfigDict(frozen=True)

    job: str
    state: JobState
    run: int
    model: str
    digest: str
    table: str
    output_table: str
    rows: int
    #: This one and the chunks' are None where a job has ended and its plan has expired: nobody knows then.
    rows_done: int | None
    rows_scored: int | None
    rows_rejected: int | None
    chunks: int
    chunks_done: int | None
    chunks_failed: int | None
    created_at: datetime
    finished_at: datetime | None
    seconds: float
    eta_seconds: float | None
    reason: str | None
    failures: tuple[ChunkFailure, ...] = ()
    #: What the job is known to have done; None before it SUCCEEDED.
    certificate: Certificate | None = None
    #: How far the job's rows are from the training rows; None before they were published, or refused for it.
    shift: Shift | None = None
    troubles: tuple[ChunkTrouble, ...] = ()
    #: Set while the job has had no commit for longer than SKFLEET_STALL_SECONDS; then the next two are, too.
    stalled_seconds: float | None = None
    stragglers: tuple[Straggler, ...] = ()
    workers_alive: int | None = None
    #: Every model that scores what is read, the one above first.
    models: tuple[ModelRef, ...] = ()
    #: Whether planned rows were counted; those of text files are estimated, and so are the rows done.
    rows_are_exact: bool = True
    #: How a table is read, and why where skfleet chose it.
    read: str | None = None
    read_why: str | None = None


@dataclass(frozen=True)
class _Work:
    """The chunks of a job's present run, in the order of their positions, and those it has in all."""

    record: JobRecord
    plan: ChunkPlan
    chunks: tuple[Chunk, ...]
    progress: Progress

    def rows_at(self, positions: Iterable[int]) -> int:
        return sum(self.chunks[position].rows for position in positions)

    @property
    def rows_done(self) -> int:
        """Planned rows of chunks that are done; what is in no chunk of this run was done before."""
        earlier = self.plan.rows - sum(chunk.rows for chunk in self.chunks)
        return earlier + self.rows_at(self.progress.done - self.progress.failed)

    @property
    def chunks_done(self) -> int:
        """Chunks that are done, in whatever run."""
        return self.record.chunks - len(self.chunks) + len(self.progress.done - self.progress.failed)

    @property
    def failed(self) -> list[int]:
        """The numbers of the chunks that failed in this run."""
        return [self.chunks[position].number for position in sorted(self.progress.failed)]

    def missing(self) -> Sequence[int]:
        """Give the numbers of the chunks that have no commit in this run."""
        return [chunk.number for place, chunk in enumerate(self.chunks) if place not in self.progress.done]

    def eta_seconds(self, seconds: float) -> float | None:
        """Give the seconds left at the speed so far; None before the first commit and after the end."""
        closed = self.rows_done + self.rows_at(self.progress.failed)
        if self.record.state.is_terminal or not closed:
            return None
        return seconds * (self.record.rows - closed) / closed


def look(cloud: Cloud, job: str, *, plan_of: Callable[[], ChunkPlan], stall_seconds: float) -> JobStatus:
    """Look where a job stands now; ``plan_of`` gives its plan, which never changes.

    Raises:
        PlanLost: it has not ended, and its plan is gone.
    """
    tracker = cloud.tracker
    record = tracker.job(job)
    progress = NOTHING
    if record.run_chunks:
        progress = tracker.progress(record.job, record.run, record.run_chunks)
    now = record.finished_at or datetime.now(UTC)
    seconds = max(0.0, (now - record.created_at).total_seconds())
    work = _work(cloud, record, progress, plan_of)
    missing = work.missing if work else list
    stall = find_stall(tracker, record, progress, missing, stall_seconds=stall_seconds, now=now)
    return JobStatus(
        job=record.job,
        state=record.state,
        run=record.run,
        model=record.model,
        digest=record.digest,
        models=record.models,
        rows_are_exact=record.rows_are_exact,
        read=record.read,
        read_why=record.read_why,
        table=str(record.table),
        output_table=str(record.output_table),
        rows=record.rows,
        rows_done=work.rows_done if work else None,
        rows_scored=record.rows_scored,
        rows_rejected=record.rows_rejected,
        chunks=record.chunks,
        chunks_done=work.chunks_done if work else None,
        chunks_failed=len(progress.failed) if work else None,
        created_at=record.created_at,
        finished_at=record.finished_at,
        seconds=seconds,
        eta_seconds=work.eta_seconds(seconds) if work else None,
        reason=record.reason,
        failures=_failures(cloud, job, work.failed if work else ()),
        certificate=certificate_of(cloud, record),
        shift=shift_of_job(cloud, record),
        troubles=list_troubles(tracker, record, missing),
        stalled_seconds=stall.seconds if stall else None,
        stragglers=stall.stragglers if stall else (),
        workers_alive=stall.workers if stall else None,
    )


def certificate_of(cloud: Cloud, record: JobRecord) -> Certificate | None:
    """Give what a job is known to have done; None before it SUCCEEDED."""
    if record.state is not JobState.SUCCEEDED:
        return None
    try:
        return Certificate.from_json(cloud.store.get(cloud.names.certificate(record.job)))
    except NoSuchObject:
        return None  # clean-up took it


def shift_of_job(cloud: Cloud, record: JobRecord) -> Shift | None:
    """Give how far a job's rows are from the training rows; None if nobody has compared them."""
    if record.state not in {JobState.SUCCEEDED, JobState.FAILED}:
        return None
    try:
        return Shift.from_json(cloud.store.get(cloud.names.shift(record.job)))
    except NoSuchObject:
        return None


def _work(
    cloud: Cloud, record: JobRecord, progress: Progress, plan_of: Callable[[], ChunkPlan]
) -> _Work | None:
    """Give a job's work; None if it has ended, and its plan is gone: plans may expire before records do."""
    try:
        plan = plan_of()
        return _Work(record, plan, chunks_of_run(cloud, record, plan), progress)
    except PlanLost:
        if record.state.is_terminal:
            return None
        raise


def _failures(cloud: Cloud, job: str, failed: Iterable[int]) -> tuple[ChunkFailure, ...]:
    commits = cloud.tracker.commits(job, islice(failed, FAILURES_SHOWN))
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
