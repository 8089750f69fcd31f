"""Dead letters, read back: each is attributed to its chunk and job, so that no job waits for it for ever.

| dead letter                        | what becomes of it                                            |
| ---------------------------------- | ------------------------------------------------------------- |
| of no job, an ended one, other run | deleted                                                       |
| of a chunk with a commit           | its climb is repeated, then it is deleted                     |
| of a chunk that a worker holds     | left alone: another message of the chunk may yet succeed      |
| of another chunk                   | the chunk is closed as failed, then it is deleted             |
| of a publication                   | sent afresh a few times; after that the job is given up       |
| of a newer version                 | left for a newer worker or `skfleet redrive`                  |
| that nobody can read               | attributed as far as it names its job, and left for a person  |

What is left alone stays hidden for a lease, and for longer once nothing more follows from it, so that those
behind it are read. All of it may be done by two workers at once, or half, and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import NewerMessage, SkfleetError, UnreadableMessage
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.settings import Settings
from skfleet_worker.clock import host_seconds
from skfleet_worker.completion import moot, was_closed
from skfleet_worker.holders import Holders
from skfleet_worker.lost_chunks import close_lost
from skfleet_worker.renewals import Renewals
from skfleet_worker.unreadable import GARBLED, Unreadable
from skfleet_worker.work import Work

#: A round goes on until nothing is left, but no longer than this part of a lease: then what it read first
#: comes again.
ROUND_PART_OF_LEASE = 2
#: A wait of any length makes SQS ask all of its servers (SQS developer guide, long polling).
WAIT_SECONDS = 1
#: How long what nothing follows from stays hidden: long enough to keep no reader from what lies behind it,
#: short enough that `skfleet redrive` meets it.
HIDDEN_SECONDS = 900

log = structlog.get_logger()


class DeadLetters:
    """The dead-letter queue as a caretaker reads it."""

    def __init__(
        self, cloud: Cloud, settings: Settings, *, worker: str, entrust: Callable[[Work], None]
    ) -> None:
        self._cloud = cloud
        self._round_seconds = settings.lease_seconds / ROUND_PART_OF_LEASE
        self._renewals = Renewals(cloud, settings, entrust=entrust)
        self._unreadable = Unreadable(cloud, settings, self._renewals, worker=worker)
        #: After how many deliveries the queue laid them here; read once.
        self._receives: int | None = None

    def read(self, workers: Sequence[WorkerPresence]) -> None:
        """Settle what can be settled; ``workers`` say who is at work on a chunk."""
        holders = Holders(workers)
        until = host_seconds() + self._round_seconds
        while host_seconds() < until:
            deliveries = self._cloud.dead_letters.receive(wait_seconds=WAIT_SECONDS)
            if not deliveries:
                return
            for delivery in deliveries:
                try:
                    self._settle(delivery, holders)
                except SkfleetError as exc:
                    # It is read again when its lease has run out.
                    log.warning("dead_letter.not_settled", message_id=delivery.message_id, error=str(exc))
                except Exception as exc:  # noqa: BLE001  (one letter must not keep others from being read)
                    log.error(  # noqa: TRY400  (it may hold what messages hold)
                        "dead_letter.not_settled", message_id=delivery.message_id, kind=type(exc).__name__
                    )

    def tell(self, delivery: Delivery, *, reason: str = GARBLED) -> None:
        """Tell the job that an unreadable message names, as far as it names one; nothing else follows yet."""
        self._unreadable.tell(delivery, reason=reason)

    def _settle(self, delivery: Delivery, holders: Holders) -> None:
        try:
            message = decode(delivery.body)
        except NewerMessage as exc:
            log.info("dead_letter.newer", message_id=delivery.message_id, error=str(exc))
            return
        except UnreadableMessage:
            if self._unreadable.settle(delivery, holders):
                self._cloud.dead_letters.extend(delivery, HIDDEN_SECONDS)
            return
        if why := moot(self._cloud, message):
            log.info("dead_letter.moot", job=message.job, why=why)
        elif isinstance(message, PublishMessage):
            if not self._renewals.renew(message, holders, message_id=delivery.message_id):
                return
        elif holders.of(message):
            if not was_closed(self._cloud, message):
                log.info("dead_letter.held", job=message.job, chunk=message.chunk.number)
                return
        else:
            attempts, reason = message.failures + self._receives_allowed(), self._reason(message)
            close_lost(self._cloud, message, attempts=attempts, reason=reason)
        self._cloud.dead_letters.ack(delivery)

    def _reason(self, message: ChunkMessage) -> str:
        """Say what is known of why no attempt finished."""
        reason = f"Its message was delivered {self._receives_allowed()} times and never finished"
        last = self._cloud.tracker.trouble(message.job, message.run, message.chunk.number)
        return f"{reason}; the last trouble: {last.reason}" if last else f"{reason}; its workers were lost."

    def _receives_allowed(self) -> int:
        if self._receives is None:
            self._receives = self._cloud.queue.max_receives()
        return self._receives
