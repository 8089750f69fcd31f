"""The caretaker: the supervisor's thread for what is nobody's delivery.

Errands (a trouble to write, an unreadable message to attribute) are done as they come. Rounds to dead
letters, stalls and stragglers are made now and then, so that no job waits for ever on a message that killed
its workers, or on a worker that is stuck.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.settings import Settings
from skfleet_worker.copies import Copies
from skfleet_worker.dead_letters import DeadLetters
from skfleet_worker.protocol import Assignment
from skfleet_worker.stalls import StallReport, live_jobs
from skfleet_worker.troubles import put_trouble
from skfleet_worker.work import Work

#: A worker whose scorers are all busy makes a round as often as this many idle ones would: a fleet that is
#: never idle must still see its dead letters and stalls.
BUSY_FACTOR = 10
#: About so many workers of a fleet make rounds in one interval, however many there are.
ROUNDS_AN_INTERVAL = 4
#: How far an interval may be from the set one, so that a fleet does not look in step.
JITTER = 0.25
#: How long a worker that ends waits for what its caretaker is at.
FAREWELL_SECONDS = 2.0

log = structlog.get_logger()


class Caretaker:
    """Looks after what no scorer can, from a thread of its own; a call that fails is logged, never raised."""

    def __init__(
        self, cloud: Cloud, settings: Settings, *, worker: str, entrust: Callable[[Work], None]
    ) -> None:
        self._cloud = cloud
        self._worker = worker
        self._care_seconds = settings.care_seconds
        #: Whether a scorer is free; the supervisor says so on every turn of its loop.
        self.has_room = False
        self._dead_letters = DeadLetters(cloud, settings, worker=worker, entrust=entrust)
        self._stalls = StallReport(cloud, stall_seconds=settings.stall_seconds)
        self._copies = Copies(cloud, copy_seconds=settings.copy_seconds)
        self._fleet_size = 1
        self._errands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)

    def start(self) -> None:
        """Begin; the first round is an interval away."""
        self._thread.start()

    def stop(self) -> None:
        """End after the errands that are waiting, if they are quick."""
        self._stopped = True
        self._errands.put(lambda: None)
        if self._thread.is_alive():
            self._thread.join(FAREWELL_SECONDS)

    def note_trouble(self, assignment: Assignment, reason: str) -> None:
        """Have a failed attempt told to the tracker, which its scorer could not do."""
        self._errands.put(
            lambda: put_trouble(
                self._cloud,
                assignment.message,
                attempts=assignment.attempts,
                worker=self._worker,
                reason=reason,
            )
        )

    def lay_to_rest(self, delivery: Delivery) -> None:
        """Have a message that nobody can read, and that is a dead letter now, told to its job."""
        self._errands.put(lambda: self._dead_letters.tell(delivery))

    def note_newer(self, delivery: Delivery, reason: str) -> None:
        """Have it told to a job that a message of it waits for a newer worker."""
        self._errands.put(lambda: self._dead_letters.tell(delivery, reason=reason))

    def _run(self) -> None:
        last_round = time.monotonic()
        interval = self._interval()
        while not (self._stopped and self._errands.empty()):
            due_at = last_round + interval * (1 if self.has_room else BUSY_FACTOR)
            # Whether there is room may change at any time.
            pause = max(0.0, min(due_at - time.monotonic(), self._care_seconds))
            with suppress(queue.Empty):
                self._do(self._errands.get(timeout=pause))
                continue
            if time.monotonic() >= due_at:
                if random.random() < ROUNDS_AN_INTERVAL / self._fleet_size:  # noqa: S311  (a share, no secret)
                    self._do(self._round)
                last_round, interval = time.monotonic(), self._interval()

    def _round(self) -> None:
        workers = self._cloud.tracker.workers()
        self._fleet_size = max(1, len(workers))
        # One that fails does not cost the others.
        self._do(lambda: self._dead_letters.read(workers))
        jobs = live_jobs(self._cloud.tracker)
        self._do(lambda: self._stalls.tell(jobs, workers))
        if self.has_room:
            self._do(lambda: self._copies.send(jobs, workers))

    def _do(self, errand: Callable[[], None]) -> None:
        try:
            errand()
        except SkfleetError as exc:
            log.warning("care.failed", error=str(exc))
        except Exception as exc:  # noqa: BLE001  (without this thread some job might wait for ever)
            log.error("care.failed", kind=type(exc).__name__)  # noqa: TRY400  (it may hold what messages hold)

    def _interval(self) -> float:
        return self._care_seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (jitter, no secret)
