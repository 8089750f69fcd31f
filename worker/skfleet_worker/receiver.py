"""The receiver: long-polls the queue, in a thread of its own, for as many deliveries as were asked for."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from skfleet_common.aws.queue import Delivery
from skfleet_common.contracts.errors import SkfleetError

#: SQS gives at most ten messages a call (SQS quotas page).
MAX_RECEIVE = 10
#: Longest pause between polls while the queue cannot be reached.
MAX_PAUSE_SECONDS = 30.0
#: An empty reply that came sooner than this was no long poll.
QUICK_SECONDS = 0.5
#: A poll takes at most this part of a lease: the lease's clock starts with the poll, to be on the safe side.
POLL_PART_OF_LEASE = 3

log = structlog.get_logger()


class Source(Protocol):
    """What a receiver needs of the queue."""

    def receive(self, *, limit: int, wait_seconds: int) -> list[Delivery]:
        """Wait for messages, at most ``limit``."""


class Receiver:
    """Polls only while something is wanted, so that no delivery waits here for a scorer."""

    def __init__(
        self,
        queue: Source,
        *,
        poll_seconds: int,
        lease_seconds: int,
        clock: Callable[[], float],
        deliver: Callable[[list[Delivery], float], None],
    ) -> None:
        self._queue = queue
        self._poll_seconds = min(poll_seconds, max(1, lease_seconds // POLL_PART_OF_LEASE))
        self._clock = clock
        #: Takes deliveries, and when the call that brought them began.
        self._deliver = deliver
        self._wanted = 0
        self._stopped = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)

    def start(self) -> None:
        """Begin to poll once something is wanted."""
        self._thread.start()

    def ask(self, count: int) -> None:
        """Want ``count`` deliveries more."""
        with self._change:
            self._wanted += count
            self._change.notify()

    def stop(self) -> None:
        """Begin no further poll. The one under way ends by itself: hanging up could lose a delivery in it."""
        with self._change:
            self._stopped = True
            self._change.notify()

    @property
    def is_running(self) -> bool:
        """Whether deliveries may still come."""
        return self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        while limit := self._next_limit():
            began = self._clock()
            try:
                deliveries = self._queue.receive(limit=limit, wait_seconds=self._poll_seconds)
            except Exception as exc:  # noqa: BLE001  (a worker that no longer polls would hang for ever)
                failures += 1
                log.warning("queue.unreachable", error=_words(exc), failures=failures)
                self._pause(failures)
                continue
            failures = 0
            if deliveries:
                with self._change:
                    self._wanted -= len(deliveries)
                self._deliver(deliveries, began)
            elif self._clock() - began < QUICK_SECONDS:
                # A full queue (120,000 in flight) answers a long poll at once, with nothing.
                self._pause(1)
        self._deliver([], self._clock())  # Wakes the supervisor, which may be waiting for this end.

    def _next_limit(self) -> int:
        with self._change:
            self._change.wait_for(lambda: self._stopped or self._wanted > 0)
            return 0 if self._stopped else min(self._wanted, MAX_RECEIVE)

    def _pause(self, failures: int) -> None:
        seconds = random.uniform(0.1, min(MAX_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 10)))  # noqa: S311
        with self._change:
            self._change.wait_for(lambda: self._stopped, timeout=seconds)


def _words(error: Exception) -> str:
    """Give our own sentence; of a foreign error, whose words may hold anything, only the type."""
    return str(error) if isinstance(error, SkfleetError) else type(error).__name__
