"""Troubles: a failed attempt is told to the tracker, so that people see it while the chunk is tried again."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage
from skfleet_common.contracts.troubles import Trouble

log = structlog.get_logger()


def put_trouble(
    cloud: Cloud, message: ChunkMessage | PublishMessage, *, attempts: int, worker: str, reason: str
) -> None:
    """Write what went wrong with a message's chunk or publication. Never raises: nothing depends on it."""
    trouble = Trouble(
        job=message.job,
        run=message.run,
        chunk=message.chunk.number if isinstance(message, ChunkMessage) else None,
        attempts=attempts,
        worker=worker,
        reason=reason,
        at=datetime.now(UTC),
    )
    _put(cloud, trouble, is_publish=True)


def put_message_trouble(
    cloud: Cloud, job: str, run: int, chunk: int | None, *, attempts: int, worker: str, reason: str
) -> None:
    """Write that a message went wrong of which at least the job is known. Never raises."""
    now = datetime.now(UTC)
    trouble = Trouble(job=job, run=run, chunk=chunk, attempts=attempts, worker=worker, reason=reason, at=now)
    _put(cloud, trouble, is_publish=False)


def _put(cloud: Cloud, trouble: Trouble, *, is_publish: bool) -> None:
    try:
        cloud.tracker.put_trouble(trouble, is_publish=is_publish)
    except Exception as exc:  # noqa: BLE001  (the delivery's fate comes first)
        log.warning("trouble.not_written", kind=type(exc).__name__)
