"""Mail: what comes from the queue is opened here, and goes back as ack, release or dead letter."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import NewerMessage, SkfleetError, UnreadableMessage
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode, renewed, with_counts
from skfleet_common.settings import Settings
from skfleet_worker.backoff import RENEW_AT_RECEIVE
from skfleet_worker.lease import Lease, LeaseKeeper
from skfleet_worker.protocol import Assignment
from skfleet_worker.work import Work

#: How long a message of a newer version is left to workers that can read it.
NEWER_DELAY_SECONDS = 60
#: How often it is sent afresh: for about the 14 days that SQS keeps a message (SQS quotas page).
NEWER_RENEWALS = 14 * 24 * 3600 // (RENEW_AT_RECEIVE * NEWER_DELAY_SECONDS)

log = structlog.get_logger()


class Mail:
    """The queue's deliveries as the supervisor handles them; a call that fails is logged, never raised.

    A delivery that could be neither acked nor released comes again when its lease runs out, which is
    harmless: the chunk's commit stands.
    """

    def __init__(
        self,
        cloud: Cloud,
        keeper: LeaseKeeper,
        settings: Settings,
        *,
        on_unreadable: Callable[[Delivery], None],
        on_newer: Callable[[Delivery, str], None],
    ) -> None:
        self._queue = cloud.queue
        self._dead_letters = cloud.dead_letters
        self._keeper = keeper
        self._settings = settings
        #: Is told of a message that became a dead letter because nobody can read it.
        self._on_unreadable = on_unreadable
        #: Is told of a message of a newer version, and of that in words.
        self._on_newer = on_newer

    def open(self, delivery: Delivery, *, received_at: float) -> Work | None:
        """Take charge of a delivery; None when it is nothing that this worker can work on."""
        lease = self._keeper.hold(delivery, received_at=received_at)
        try:
            message = decode(delivery.body)
        except NewerMessage as exc:
            self._leave_to_newer(lease, str(exc))
            return None
        except UnreadableMessage as exc:
            self._bury(lease, exc)
            return None
        lease.allowance_seconds = self._allowance(message)
        return Work(lease, Assignment(message=message, receive_count=delivery.receive_count))

    def ack(self, lease: Lease) -> None:
        """Delete the message."""
        if self._keeper.drop(lease):
            self._ack(lease.delivery)

    def release(self, lease: Lease, *, delay_seconds: int = 0, reason: str | None = None) -> None:
        """Let another worker have the message, after ``delay_seconds``; nothing has failed."""
        if not self._keeper.drop(lease):
            return
        # However often it was drained, it must not end among the dead letters for that.
        renews = lease.delivery.receive_count >= RENEW_AT_RECEIVE
        if not (renews and self._replace(lease, lease.delivery.body, delay_seconds, reason)):
            self._release(lease, delay_seconds, reason)

    def give_back(self, work: Work, *, reason: str) -> None:
        """Let another worker have work that does not end here; a failure of which it knows nothing counts."""
        if work.assignment.give_up_because:
            self.retry(work, delay_seconds=0, reason=reason)
        else:
            self.release(work.lease, reason=reason)

    def retry(self, work: Work, *, delay_seconds: int, reason: str | None = None) -> None:
        """Have a message whose attempt failed tried again: one that counts the failure takes its place.

        The queue's own count cannot tell a failure from a drain or a lost host.
        """
        body = with_counts(work.lease.delivery.body, failures=work.assignment.attempt)
        self._send_again(work.lease, body, delay_seconds, reason)

    def put_off(self, work: Work, *, delay_seconds: int) -> None:
        """Have a message tried again whose attempt something around it has ended; that is counted apart."""
        body = with_counts(work.lease.delivery.body, setbacks=work.assignment.setbacks + 1)
        self._send_again(work.lease, body, delay_seconds, None)

    def _send_again(self, lease: Lease, body: str, delay_seconds: int, reason: str | None) -> None:
        if self._keeper.drop(lease) and not self._replace(lease, body, delay_seconds, reason):
            self._release(lease, delay_seconds, reason)

    def _leave_to_newer(self, lease: Lease, reason: str) -> None:
        """Leave a message to newer workers, for about as long as SQS keeps one."""
        delivery, delay = lease.delivery, NEWER_DELAY_SECONDS
        self._on_newer(delivery, reason)
        if not self._keeper.drop(lease):
            return
        is_due = delivery.receive_count >= RENEW_AT_RECEIVE
        body = renewed(delivery.body, at_most=NEWER_RENEWALS) if is_due else None
        if body is None or not self._replace(lease, body, delay, reason):
            self._release(lease, delay, reason)

    def _replace(self, lease: Lease, body: str, delay_seconds: int, reason: str | None) -> bool:
        """Send a message in place of a dropped one; False if that failed, so that the original must stay."""
        delivery = lease.delivery
        try:
            self._queue.send_one(body, delay_seconds=delay_seconds)
        except SkfleetError as exc:
            log.warning("delivery.not_replaced", message_id=delivery.message_id, error=str(exc))
            return False
        log.info(
            "delivery.replaced", message_id=delivery.message_id, delay_seconds=delay_seconds, reason=reason
        )
        self._ack(delivery)
        return True

    def _release(self, lease: Lease, delay_seconds: int, reason: str | None) -> None:
        delivery = lease.delivery
        log.info(
            "delivery.released", message_id=delivery.message_id, delay_seconds=delay_seconds, reason=reason
        )
        try:
            self._queue.release(delivery, delay_seconds=delay_seconds)
        except SkfleetError as exc:
            log.warning("delivery.not_released", message_id=delivery.message_id, error=str(exc))

    def _ack(self, delivery: Delivery) -> None:
        try:
            self._queue.ack(delivery)
        except SkfleetError as exc:
            log.warning("delivery.not_acked", message_id=delivery.message_id, error=str(exc))

    def _allowance(self, message: ChunkMessage | PublishMessage) -> float:
        """A publish ends in one statement, which the warehouse's own limit stops."""
        extra = self._settings.statement_seconds if isinstance(message, PublishMessage) else 0
        return self._settings.allowance_seconds + extra

    def _bury(self, lease: Lease, exc: UnreadableMessage) -> None:
        log.error("message.unreadable", message_id=lease.delivery.message_id, error=str(exc))
        try:
            self._dead_letters.send_one(lease.delivery.body)
        except SkfleetError as fault:
            # It comes again when its lease runs out.
            log.warning("message.not_buried", message_id=lease.delivery.message_id, error=str(fault))
            self._keeper.drop(lease)
        else:
            self.ack(lease)
            self._on_unreadable(lease.delivery)
