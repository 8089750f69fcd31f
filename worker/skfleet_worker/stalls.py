"""Stalls: live jobs without a commit for long are logged with who holds them, and told as a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from skfleet_common.aws.run_messages import RunMessages
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import Progress, Tracker
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.stalls import quiet_seconds, stragglers
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.telemetry import Measured, emit_metrics

#: Jobs that a round lists, and how many of them that are live it looks into.
LISTED = 50
LOOKED_INTO = 10
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
    """Give the newest jobs that have not ended, with the progress of each."""
    live = [record for record in tracker.jobs(LISTED) if not record.state.is_terminal][:LOOKED_INTO]
    return [
        LiveJob(
            record,
            tracker.progress(record.job, record.run, record.run_chunks)
            if record.run_chunks
            else Progress(frozenset(), frozenset()),
        )
        for record in live
    ]


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
        new, self._told = stalled - self._told, stalled
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
            if key in new:
                self._log(job, workers, seconds=quiet[key])

    def _log(self, job: LiveJob, workers: Sequence[WorkerPresence], *, seconds: float) -> None:
        record = job.record
        missing = job.missing(RunMessages(self._cloud, record)) if record.run_chunks else []
        named = stragglers(record, missing, workers, limit=NAMED_AT_MOST)
        log.warning(
            "job.stalled",
            job=record.job,
            run=record.run,
            job_state=record.state.value,
            seconds=round(seconds),
            missing=len(missing),
            workers=len(workers),
            stragglers=[str(straggler) for straggler in named],
        )
