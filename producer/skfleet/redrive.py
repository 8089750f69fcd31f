"""Redrive: dead letters back to the queue, by receive, send and delete; in that order none is ever lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from skfleet.progress import Steps
from skfleet_common.aws.queue import MAX_BATCH_ENTRIES, Delivery, Queue
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import NoSuchJob
from skfleet_common.contracts.errors import NewerMessage, UnreadableMessage
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode

#: A poll this long asks all of SQS's servers, so that an empty reply means that nothing is left (SQS guide).
POLL_SECONDS = 1

#: A message may be older than its age says, which is in whole seconds.
AGE_ERROR_SECONDS = 1.0


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

    @property
    def handled(self) -> int:
        """Letters that were sent back or dropped."""
        return self.sent.total() + self.dropped.total() + self.newer


def redrive(
    cloud: Cloud,
    *,
    limit: int | None = None,
    dry_run: bool = False,
    steps: Steps,
    clock: Callable[[], float] = time.monotonic,
) -> Redriven:
    """Send back or drop dead letters, at most ``limit``, and none that came after this began.

    Letters that are left where they are, all of them in a dry run, are hidden from others meanwhile.
    """
    tally = _Tally()
    records: dict[str, JobRecord | None] = {}
    kept: list[Delivery] = []
    letters = _Letters(cloud.dead_letters, clock)
    with steps.step("Reading dead letters", total=limit, unit="messages") as step:
        try:
            while limit is None or tally.handled < limit:
                left = MAX_BATCH_ENTRIES if limit is None else limit - tally.handled
                deliveries, others = letters.receive(limit=left)
                kept += others
                if not deliveries:
                    break
                kept += _handle(deliveries, cloud, records, tally, dry_run=dry_run)
                step.reach(tally.handled)
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


class _Letters:
    """The letters that are in a queue now, each once, even if the lease of one that is kept runs out."""

    def __init__(self, queue: Queue, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._clock = clock
        self._began = clock()
        self._seen: set[str] = set()

    def receive(self, *, limit: int) -> tuple[list[Delivery], list[Delivery]]:
        """Take some that were there at the beginning, and others, which are to be put back; none: the end.

        SQS's own count of its messages lags by minutes, so it is not asked.
        """
        since_began = self._clock() - self._began
        mine: list[Delivery] = []
        others: list[Delivery] = []
        for delivery in self._queue.receive(limit=limit, wait_seconds=POLL_SECONDS):
            age = delivery.age_seconds
            came_after = age is not None and age + AGE_ERROR_SECONDS <= since_began
            (others if came_after or delivery.message_id in self._seen else mine).append(delivery)
        self._seen.update(delivery.message_id for delivery in mine)
        return mine, others


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
    record = records.get(message.job)
    # A message of a later run than was read here comes of a retry since then.
    if message.job not in records or (record is not None and record.run < message.run):
        try:
            record = cloud.tracker.job(message.job)
        except NoSuchJob:
            record = None
        records[message.job] = record
    return record is None or record.state.is_terminal or record.run != message.run
