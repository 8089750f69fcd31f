"""Redrive: dead letters back to the queue, by receive, send and delete; in that order none is ever lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from skfleet.progress import Steps
from skfleet_common.aws.queue import MAX_BATCH_ENTRIES, Delivery
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import NoSuchJob
from skfleet_common.contracts.errors import NewerMessage, UnreadableMessage
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode

#: A poll this long asks all of SQS's servers, so that an empty reply means that nothing is left (SQS guide).
POLL_SECONDS = 1


class Redriven(BaseModel):
    """What became of the dead letters; messages by job."""

    model_config = ConfigDict(frozen=True)

    dry_run: bool
    #: Sent back to the queue, and gone from the dead letters.
    sent: dict[str, int]
    #: Gone for good: their job has ended or is at another run.
    dropped: dict[str, int]
    #: Sent back, of a version that this skfleet cannot read.
    newer: int
    #: Left where they are: nobody can read them.
    unreadable: int


@dataclass
class _Tally:
    sent: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    newer: int = 0
    unreadable: int = 0


def redrive(cloud: Cloud, *, limit: int | None = None, dry_run: bool = False, steps: Steps) -> Redriven:
    """Send dead letters back, at most ``limit``, and none that came after this began.

    Letters that are left where they are, all of them in a dry run, are hidden from others meanwhile.
    """
    depth = cloud.dead_letters.approximate_depth().total
    most = depth if limit is None else min(limit, depth)
    tally = _Tally()
    records: dict[str, JobRecord | None] = {}
    kept: list[Delivery] = []
    handled = 0
    with steps.step("Reading dead letters", total=most, unit="messages") as step:
        try:
            for deliveries in _batches(cloud, most):
                kept += _handle(deliveries, cloud, records, tally, dry_run=dry_run)
                handled += len(deliveries)
                step.reach(handled)
        finally:
            for delivery in kept:
                cloud.dead_letters.release(delivery)
    return Redriven(
        dry_run=dry_run,
        sent=dict(tally.sent),
        dropped=dict(tally.dropped),
        newer=tally.newer,
        unreadable=tally.unreadable,
    )


def _batches(cloud: Cloud, most: int) -> Iterator[list[Delivery]]:
    """Give up to ``most`` dead letters, each once, even if the lease of one that is kept runs out."""
    seen: set[str] = set()
    while len(seen) < most:
        limit = min(MAX_BATCH_ENTRIES, most - len(seen))
        deliveries = cloud.dead_letters.receive(limit=limit, wait_seconds=POLL_SECONDS)
        new = [delivery for delivery in deliveries if delivery.message_id not in seen]
        if not new:
            return
        seen.update(delivery.message_id for delivery in new)
        yield new


def _handle(
    deliveries: list[Delivery],
    cloud: Cloud,
    records: dict[str, JobRecord | None],
    tally: _Tally,
    *,
    dry_run: bool,
) -> list[Delivery]:
    """Send a batch of dead letters back or drop them; gives those that stay."""
    to_send: list[Delivery] = []
    to_drop: list[Delivery] = []
    unreadable: list[Delivery] = []
    for delivery in deliveries:
        try:
            message = decode(delivery.body)
        except NewerMessage:
            tally.newer += 1
            to_send.append(delivery)
        except UnreadableMessage:
            tally.unreadable += 1
            unreadable.append(delivery)
        else:
            is_moot = _is_moot(message, cloud, records)
            (tally.dropped if is_moot else tally.sent)[message.job] += 1
            (to_drop if is_moot else to_send).append(delivery)
    if dry_run:
        return deliveries
    cloud.queue.send([delivery.body for delivery in to_send])
    for delivery in to_send + to_drop:
        cloud.dead_letters.ack(delivery)
    return unreadable


def _is_moot(
    message: ChunkMessage | PublishMessage, cloud: Cloud, records: dict[str, JobRecord | None]
) -> bool:
    """Whether a worker would have nothing to do for a message."""
    if message.job not in records:
        try:
            records[message.job] = cloud.tracker.job(message.job)
        except NoSuchJob:
            records[message.job] = None
    record = records[message.job]
    return record is None or record.state.is_terminal or record.run != message.run
