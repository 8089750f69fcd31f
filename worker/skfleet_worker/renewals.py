"""Renewals: a publish message that was lost is sent afresh a few times, then its publication is given up."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.messages import PublishMessage, encode
from skfleet_common.contracts.states import JobState
from skfleet_common.settings import Settings
from skfleet_worker.clock import host_seconds
from skfleet_worker.holders import Holders
from skfleet_worker.lease import Lease
from skfleet_worker.protocol import Assignment
from skfleet_worker.work import Work

#: Publish messages of a run that may become dead letters before its publication is given up.
PUBLISH_RENEWALS = 3

log = structlog.get_logger()


class Renewals:
    """What becomes of publications whose messages are dead letters."""

    def __init__(self, cloud: Cloud, settings: Settings, *, entrust: Callable[[Work], None]) -> None:
        self._cloud = cloud
        self._settings = settings
        #: Gives work to the supervisor that only a scorer can do.
        self._entrust = entrust

    def renew(self, message: PublishMessage, holders: Holders, *, message_id: str) -> bool:
        """Send a publish message afresh, or give the publication up; True when its letter may go."""
        if self._cloud.tracker.job(message.job).state is not JobState.PUBLISHING:
            # Whoever completes the run asks for its publication.
            return True
        lost = self._cloud.tracker.count_renewal(message.job, message.run, message_id)
        if lost <= PUBLISH_RENEWALS:
            self._cloud.queue.send([encode(message)])
            log.warning("publish.renewed", job=message.job, run=message.run, lost=lost)
            return True
        if holders.of(message):
            log.info("dead_letter.held", job=message.job)
            return False
        # Only the warehouse knows whether it has happened: a scorer asks. Once the job has ended, the
        # letter is moot; if the scorer or this worker dies first, it is read again.
        reason = f"{lost} messages for it became dead letters"
        log.warning("publish.given_up", job=message.job, run=message.run, reason=reason)
        self._entrust(self._work_of(message, reason))
        return False

    def _work_of(self, message: PublishMessage, reason: str) -> Work:
        """Give work under a lease that no keeper holds: there is nothing to extend, ack or release."""
        now = host_seconds()
        nothing = Delivery(body=encode(message), receipt="", receive_count=1, message_id="")
        return Work(
            lease=Lease(
                delivery=nothing,
                received_at=now,
                expires_at=float("inf"),
                allowance_seconds=self._settings.allowance_seconds + self._settings.statement_seconds,
            ),
            assignment=Assignment(message=message, receive_count=1, give_up_because=reason),
        )
