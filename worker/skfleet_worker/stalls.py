"""Stalls: live jobs without a commit for long are logged with who holds them, and told as a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from skfleet_common.aws.run_messages import RunMessages
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import Progress, Tracker
from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.stalls import quiet_seconds, stragglers
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.telemetry import Measured, emit_metrics

#: Jobs that a round lists (a page of the index, of 1 MB), and how many of them that are live it looks into.
LISTED = 1_000
LOOKED_INTO = 100
#: Stragglers that a log line names.
NAMED_AT_MOST = 5

log = structlog.get_logger()


@dataclass(frozen=True)
class LiveJob:
    """A job that has not ended, and how far its run is."""

    record: JobRecord
    progress: Progress

    def missing(self, messages: RunMessages) -> list[int]:
        """Give the numbers of the chunks that have no commit yet."""
        return [
            number for position, number in enumerate(messages.numbers) if position not in self.progress.done
        ]


def live_jobs(tracker: Tracker) -> list[LiveJob]:
    """Give the newest jobs that have not ended, with the progress of each that can be read."""
    records = [record for record in tracker.jobs(LISTED) if not record.state.is_terminal]
    live: list[LiveJob] = []
    for record in records[:LOOKED_INTO]:
        try:
            live.append(LiveJob(record, _progress(tracker, record)))
        except SkfleetError as exc:
            log.warning("job.not_looked_into", job=record.job, error=str(exc))
    return live


def _progress(tracker: Tracker, record: JobRecord) -> Progress:
    if not record.run_chunks:
        return Progress(frozenset(), frozenset())
    return tracker.progress(record.job, record.run, record.run_chunks)


class StallReport:
    """Tells of each stall once in the log, and of all in every round's metrics."""

    def __init__(self, cloud: Cloud, *, stall_seconds: float) -> None:
        self._cloud = cloud
        self._stall_seconds = stall_seconds
        #: Stalls that the log tells of already, by job and run.
        self._told: set[tuple[str, int]] = set()
        self._was_quiet = True

    def tell(self, jobs: Sequence[LiveJob], workers: Sequence[WorkerPresence]) -> None:
        """Log the stalls that are new, and emit the metrics; none while there is nothing to tell."""
        now = datetime.now(UTC)
        quiet = {
            (job.record.job, job.record.run): quiet_seconds(job.record, last_at=job.progress.last_at, now=now)
            for job in jobs
        }
        stalled = {key for key, seconds in quiet.items() if seconds > self._stall_seconds}
        self._told &= stalled
        # After the last job a last line of zeros, so that an alarm ends.
        if jobs or not self._was_quiet:
            emit_metrics(
                self._cloud.names.fleet,
                {
                    "StalledJobs": Measured(len(stalled), "Count"),
                    "OldestCommitAgeSeconds": Measured(round(max(quiet.values(), default=0.0), 3), "Seconds"),
                },
                now=now,
            )
        self._was_quiet = not jobs
        for job in jobs:
            key = (job.record.job, job.record.run)
            if key in stalled - self._told:
                self._log(job, workers, seconds=quiet[key])
                self._told.add(key)

    def _log(self, job: LiveJob, workers: Sequence[WorkerPresence], *, seconds: float) -> None:
        record = job.record
        log.warning(
            "job.stalled",
            job=record.job,
            run=record.run,
            job_state=record.state.value,
            seconds=round(seconds),
            missing=record.run_chunks - len(job.progress.done),
            workers=len(workers),
            stragglers=self._stragglers(job, workers),
        )

    def _stragglers(self, job: LiveJob, workers: Sequence[WorkerPresence]) -> list[str]:
        """Give in words what the job waits for, or why nobody knows."""
        record = job.record
        try:
            missing = job.missing(RunMessages(self._cloud, record)) if record.run_chunks else []
        except SkfleetError as exc:
            return [str(exc)]
        return [str(straggler) for straggler in stragglers(record, missing, workers, limit=NAMED_AT_MOST)]
