"""Copies: near the end of a run a straggler is sent a second time, for a scorer with nothing to do.

Safe because of the commit: the first attempt to commit stands, the other changes nothing. A chunk of a run
is copied at most once over the whole fleet; the tracker knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog

from skfleet_common.aws.run_messages import RunMessages
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker_table import BLOCK_CHUNKS
from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.contracts.jobs import Commit, CommitOutcome
from skfleet_common.contracts.messages import encode
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.workers import Holding, WorkerPresence
from skfleet_worker.stalls import LiveJob

#: The end is near when this part of the chunks is committed, or no more are left than scorers are idle, or
#: every one that is left is held: then idle scorers have nothing better to do.
NEARLY_ALL = 0.9
#: How much longer than the mean chunk a straggler has been held.
TIMES_THE_MEAN = 3

log = structlog.get_logger()


class Copies:
    """Sends the copies that one worker finds due."""

    def __init__(self, cloud: Cloud, *, copy_seconds: float) -> None:
        self._cloud = cloud
        self._copy_seconds = copy_seconds
        #: Job, run and chunk of what is known to have a copy.
        self._copied: set[tuple[str, int, int]] = set()

    def send(self, jobs: Sequence[LiveJob], workers: Sequence[WorkerPresence]) -> None:
        """Copy the stragglers of every job that is near its end, at most one for each idle scorer."""
        if self._copy_seconds == 0:
            return
        idle = sum(max(0, len(worker.scorer_pids) - len(worker.holdings)) for worker in workers)
        live = {(job.record.job, job.record.run) for job in jobs}
        self._copied = {key for key in self._copied if key[:2] in live}
        for job in jobs:
            held = {
                holding.chunk
                for worker in workers
                for holding in worker.holdings
                if (holding.job, holding.run) == (job.record.job, job.record.run)
            }
            if job.record.state is not JobState.RUNNING or not is_near_its_end(
                job, idle=idle, held=len(held)
            ):
                continue
            try:
                idle -= self._copy_stragglers(job, workers, limit=idle)
            except SkfleetError as exc:
                # The next job may need no plan that is gone.
                log.warning("job.not_copied", job=job.record.job, error=str(exc))

    def _copy_stragglers(self, job: LiveJob, workers: Sequence[WorkerPresence], *, limit: int) -> int:
        """Send copies of a job's stragglers; gives how many."""
        late = list(self._held_long(job, workers))
        if not late or limit <= 0:
            return 0
        record = job.record
        messages = RunMessages(self._cloud, record)
        missing = set(job.missing(messages))
        mean = self._mean_seconds(job, messages)
        copies = 0
        for holding in late:
            chunk = holding.chunk
            message = None if chunk is None else messages.of(chunk)
            if message is None or chunk is None or chunk not in missing or mean is None:
                continue
            if holding.seconds <= TIMES_THE_MEAN * mean or copies == limit:
                continue
            is_ours = self._cloud.tracker.claim_copy(record.job, record.run, chunk)
            self._copied.add((record.job, record.run, chunk))
            if is_ours:
                self._cloud.queue.send([encode(message)])
                copies += 1
                log.info(
                    "chunk.copied", job=record.job, run=record.run, chunk=chunk, held_seconds=holding.seconds
                )
        return copies

    def _held_long(self, job: LiveJob, workers: Sequence[WorkerPresence]) -> Iterator[Holding]:
        """Give what is held of a job for so long that a copy might be due, each chunk once."""
        record = job.record
        seen = set(self._copied)
        for holding in (holding for worker in workers for holding in worker.holdings):
            if holding.chunk is None or (holding.job, holding.run) != (record.job, record.run):
                continue
            key = (holding.job, holding.run, holding.chunk)
            if holding.seconds >= self._copy_seconds and key not in seen:
                seen.add(key)
                yield holding

    def _mean_seconds(self, job: LiveJob, messages: RunMessages) -> float | None:
        """Give how long a chunk of the run took on average, from a sample that one query reads."""
        done = sorted(messages.numbers[position] for position in job.progress.done)
        if not done:
            return None
        block = done[len(done) // 2] // BLOCK_CHUNKS
        sample = [number for number in done if number // BLOCK_CHUNKS == block]
        took = [
            _seconds(commit)
            for commit in self._cloud.tracker.commits(job.record.job, sample)
            if commit.outcome is CommitOutcome.DONE and commit.run == job.record.run
        ]
        return sum(took) / len(took) if took else None


def is_near_its_end(job: LiveJob, *, idle: int, held: int) -> bool:
    """Whether so few chunks are left that idle scorers have nothing better to do."""
    done, chunks = len(job.progress.done), job.record.run_chunks
    return 0 < done < chunks and (done >= NEARLY_ALL * chunks or chunks - done <= max(idle, held))


def _seconds(commit: Commit) -> float:
    """Reading overlaps the other stages."""
    return max(commit.seconds_reading, commit.seconds_scoring + commit.seconds_writing)
