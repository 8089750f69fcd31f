"""Leases: the right to work on a delivery, kept alive by a heartbeat that no scoring work can delay."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from skfleet_common.aws.queue import Delivery
from skfleet_common.contracts.errors import SkfleetError
from skfleet_worker.deadline import OVER, Deadline

#: A message stays hidden at most twelve hours from its receipt (SQS developer guide, visibility timeout).
MAX_LEASE_SECONDS = 12 * 3600.0

#: Of up to ten connections that boto3's client keeps. A slow call takes seconds; a row must fit a heartbeat.
CALLS_AT_ONCE = 10
CALLS_IN_A_ROW = 4

RAN_OUT = "it ran out"

log = structlog.get_logger()


class Extender(Protocol):
    """What a lease keeper needs of the queue."""

    def extend(self, delivery: Delivery, seconds: int) -> bool:
        """Hide the message for ``seconds`` from now; False when the lease is known to be lost."""


@dataclass(eq=False)
class Lease:
    """One held delivery. Times are readings of one host's clock (see clock.py)."""

    delivery: Delivery
    received_at: float
    #: From here on somebody else may have the message.
    expires_at: float
    #: When the scorer last reported a batch; None while the delivery waits for a scorer.
    progress_at: float | None = None
    #: How long after that the scorer counts as stuck.
    allowance_seconds: float = float("inf")
    #: Held while SQS is told to extend: what comes after a release would hide the message again.
    talking: threading.Lock = field(default_factory=threading.Lock)
    #: Where the scorer that works under this lease sees its end.
    _shown_on: Deadline | None = None
    _showing: threading.Lock = field(default_factory=threading.Lock)

    def show_on(self, deadline: Deadline | None) -> None:
        """Let a scorer see from now on when the lease ends; None: no scorer works under it any more."""
        with self._showing:
            self._shown_on = deadline
            if deadline is not None:
                deadline.at = self.expires_at

    def last_until(self, reading: float) -> None:
        """Set the lease's end, for the scorer too."""
        with self._showing:
            self.expires_at = reading
            if self._shown_on is not None:
                self._shown_on.at = reading

    def is_lost(self, now: float) -> bool:
        """Whether somebody else may have the message by now."""
        return now >= self.expires_at

    def is_stuck(self, now: float) -> bool:
        """Whether its scorer has reported nothing for longer than it may."""
        return self.progress_at is not None and now - self.progress_at > self.allowance_seconds

    def extension(self, now: float, lease_seconds: int) -> int:
        """Give the seconds to ask for now: a lease, or what is left of the twelve hours.

        0 is nothing: what is left is no longer than what is held. To ask for it might shorten the lease,
        and the reply that says so may be lost.
        """
        left = int(self.received_at + MAX_LEASE_SECONDS - now)
        if left < lease_seconds and now + left <= self.expires_at:
            return 0
        return max(0, min(lease_seconds, left))


class LeaseKeeper:
    """Extends what is held, from a thread of its own; says which leases were lost."""

    def __init__(
        self,
        queue: Extender,
        *,
        lease_seconds: int,
        heartbeat_seconds: float,
        clock: Callable[[], float],
        on_lost: Callable[[Lease], None],
    ) -> None:
        self._queue = queue
        self._lease_seconds = lease_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._on_lost = on_lost
        self._held: set[Lease] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the call it may be in; does not wait."""
        self._stopped.set()

    def hold(self, delivery: Delivery, *, received_at: float) -> Lease:
        """Take charge of a delivery; its lease began no earlier than ``received_at``."""
        lease = Lease(
            delivery=delivery, received_at=received_at, expires_at=received_at + self._lease_seconds
        )
        with self._lock:
            self._held.add(lease)
        return lease

    def drop(self, lease: Lease) -> bool:
        """Extend it no more, before it is acked or released; False if it is lost: then do neither.

        A stale receipt may delete a message that another worker has received meanwhile.
        """
        with lease.talking:
            if not self._forget(lease):
                return False
        is_lost = lease.is_lost(self._clock())
        lease.last_until(OVER)
        if is_lost:
            log.warning("lease.lost", message_id=lease.delivery.message_id, why=RAN_OUT)
        return not is_lost

    def keep_only(self, leases: Collection[Lease]) -> None:
        """Extend no others: after an error nobody may know of them, and they would be hidden for hours."""
        with self._lock:
            self._held.intersection_update(leases)

    def look(self) -> None:
        """Lose what has run out; without a request. A supervisor that was stopped finds out by this."""
        now = self._clock()
        for lease in self._all_held():
            if lease.is_lost(now):
                self._lose(lease, why=RAN_OUT)

    def beat(self) -> None:
        """Extend every held lease once; many in several threads, or a slow queue would cost the last ones."""
        leases = self._all_held()
        rows = min(CALLS_AT_ONCE, -(-len(leases) // CALLS_IN_A_ROW))
        others = [
            threading.Thread(target=self._beat_row, args=(leases[row::rows],), name="leases", daemon=True)
            for row in range(1, rows)
        ]
        for other in others:
            other.start()
        self._beat_row(leases[:: rows or 1])
        for other in others:
            other.join()

    def _beat_row(self, leases: list[Lease]) -> None:
        for lease in leases:
            # Read again for each: one slow call must not make the others' arithmetic old.
            now = self._clock()
            try:
                if lease.is_lost(now):
                    self._lose(lease, why=RAN_OUT)
                elif not lease.is_stuck(now) and not self._extend(lease, now):
                    self._lose(lease, why="the queue says so")
            except Exception as exc:  # noqa: BLE001  (the worker would lose all the others that it holds)
                log.error("lease.beat_failed", kind=type(exc).__name__)  # noqa: TRY400  (it may hold receipts)

    def _extend(self, lease: Lease, now: float) -> bool:
        """Extend a lease; False when the queue says that it is lost."""
        seconds = lease.extension(now, self._lease_seconds)
        if seconds == 0:
            return True
        with lease.talking:
            if lease not in self._held:
                return True
            try:
                extended = self._queue.extend(lease.delivery, seconds)
            except SkfleetError as exc:
                # The next beat tries again; the lease runs out by itself if none gets through.
                log.warning("lease.not_extended", message_id=lease.delivery.message_id, error=str(exc))
                return True
            with self._lock:
                # It may have run out meanwhile: then its attempt has been stopped.
                if extended and lease in self._held:
                    lease.last_until(now + seconds)
        return extended

    def _lose(self, lease: Lease, *, why: str) -> None:
        # Not held any more: it was acked, released or lost while this thread was on its way.
        if self._forget(lease):
            lease.last_until(OVER)
            log.warning("lease.lost", message_id=lease.delivery.message_id, why=why)
            self._on_lost(lease)

    def _forget(self, lease: Lease) -> bool:
        """Take a lease out of what is held; False if it was not there."""
        with self._lock:
            if lease not in self._held:
                return False
            self._held.remove(lease)
            return True

    def _all_held(self) -> list[Lease]:
        with self._lock:
            return list(self._held)

    def _run(self) -> None:
        while not self._stopped.wait(self._heartbeat_seconds):
            self.beat()
