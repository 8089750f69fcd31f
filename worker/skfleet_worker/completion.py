"""Completion: commit, climb, and, when the run is complete, see to its publication.

Every step may be repeated, by anybody.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import NoSuchJob
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobRecord
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, encode
from skfleet_common.contracts.states import JobState
from skfleet_worker.verdict import verdict

#: Where a chunk may fail its job. A job that is PUBLISHING has all its chunks: a copy of one that fails late
#: must not end it while its publication goes on.
SCORING = frozenset({JobState.SUBMITTING, JobState.RUNNING})

log = structlog.get_logger()


def close_chunk(cloud: Cloud, message: ChunkMessage, commit: Commit) -> Commit:
    """Commit an attempt and climb; gives the commit that stands, which may be another attempt's."""
    standing = cloud.tracker.commit(commit)
    log.info(
        "chunk.committed" if standing.attempt == commit.attempt else "chunk.committed_by_another",
        outcome=standing.outcome.value,
        rows=standing.rows_read,
        scored=standing.rows_scored,
        rejected=standing.rows_rejected,
        reason=standing.reason,
        seconds_reading=commit.seconds_reading,
        seconds_scoring=commit.seconds_scoring,
        seconds_writing=commit.seconds_writing,
    )
    climb(cloud, message, standing)
    return standing


def moot(cloud: Cloud, message: ChunkMessage | PublishMessage) -> str | None:
    """Say why nothing is left to do for a message, or None."""
    try:
        record = cloud.tracker.job(message.job)
    except NoSuchJob:
        return "there is no such job"
    if record.state.is_terminal:
        return f"the job is {record.state.value}"
    if record.run != message.run:
        return f"the job is at run {record.run}"
    if isinstance(message, ChunkMessage) and not _is_planned(message, record):
        return "the job has no such chunk"
    return None


def _is_planned(message: ChunkMessage, record: JobRecord) -> bool:
    """Whether the job's present run may have the chunk there; the plan itself is not read for it."""
    return (
        message.run_chunks == record.run_chunks
        and message.chunk.number < record.chunks
        # The first run has all chunks, in their order.
        and (message.run > 1 or message.position == message.chunk.number)
    )


def was_closed(cloud: Cloud, message: ChunkMessage) -> bool:
    """Whether the chunk has its commit already; if so, climb: its worker may have died before it did."""
    for commit in cloud.tracker.commits(message.job, [message.chunk.number]):
        if commit.outcome is CommitOutcome.DONE or commit.run == message.run:
            log.info("chunk.was_committed")
            climb(cloud, message, commit)
            return True
    return False


def failed_commit(
    message: ChunkMessage, *, worker: str, attempts: int, reason: str, trouble: str | None = None
) -> Commit:
    """Give the record of a chunk that failed for good."""
    return Commit(
        job=message.job,
        run=message.run,
        chunk=message.chunk.number,
        outcome=CommitOutcome.FAILED,
        attempt=uuid.uuid4().hex,
        worker=worker,
        attempts=attempts,
        reason=reason,
        trouble=trouble,
    )


def climb(cloud: Cloud, message: ChunkMessage, standing: Commit) -> None:
    """Tell the completion tree of a commit that stands, and end the run if that made it complete."""
    failed = standing.outcome is CommitOutcome.FAILED
    root = cloud.tracker.climb(message.job, message.run, message.position, message.run_chunks, failed=failed)
    if root is None or not root.full:
        return
    if root.failed:
        reason, naming = verdict(cloud, message.job)
        fail_job(cloud, message.job, message.run, reason=reason, naming=naming, only_from=SCORING)
    elif cloud.tracker.begin_publishing(message.job, run=message.run):
        cloud.queue.send([encode(PublishMessage(job=message.job, run=message.run))])
        log.info("job.complete")


def fail_job(
    cloud: Cloud,
    job: str,
    run: int,
    *,
    reason: str,
    naming: str = "",
    only_from: Collection[JobState] | None = None,
) -> None:
    """Move the job to FAILED with its reason, unless it has ended already.

    ``naming``, which names rows, goes into the record and not into the log.
    """
    recorded = f"{reason} {naming}".rstrip()
    if cloud.tracker.move(
        job, JobState.FAILED, run=run, reason=recorded, finished_at=datetime.now(UTC), only_from=only_from
    ):
        log.error("job.failed", reason=reason)
