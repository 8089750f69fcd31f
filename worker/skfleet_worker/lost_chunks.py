"""Lost chunks: those that no message will bring to a worker any more are closed as failed."""

from __future__ import annotations

import structlog

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.messages import ChunkMessage
from skfleet_worker.completion import close_chunk, failed_commit, was_closed

#: Stands for a worker that nobody has heard of since.
LOST = "unknown (lost)"

log = structlog.get_logger()


def close_lost(cloud: Cloud, message: ChunkMessage, *, attempts: int, reason: str) -> None:
    """Close a chunk as failed, unless it has its commit, in the name of the worker last heard of."""
    with structlog.contextvars.bound_contextvars(
        job=message.job, run=message.run, chunk=message.chunk.number
    ):
        if was_closed(cloud, message):
            return
        last = cloud.tracker.trouble(message.job, message.run, message.chunk.number)
        log.warning("chunk.given_up", reason=reason)
        worker = last.worker if last else LOST
        close_chunk(cloud, message, failed_commit(message, worker=worker, attempts=attempts, reason=reason))
