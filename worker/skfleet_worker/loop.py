"""The supervisor's loop: it owns the queue, and decides what becomes of every delivery."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait

import structlog

from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import EnvironmentFault, UsageError
from skfleet_common.settings import Settings
from skfleet_worker.backoff import backoff_seconds
from skfleet_worker.caretaker import Caretaker
from skfleet_worker.crew import Crew, Scorer
from skfleet_worker.drain import Drain, on_signals
from skfleet_worker.inbox import Inbox
from skfleet_worker.lease import Lease, LeaseKeeper
from skfleet_worker.mail import Mail
from skfleet_worker.presence import Presence
from skfleet_worker.protocol import Ending, Finished, Progress, Ready, Unfit
from skfleet_worker.receiver import Receiver
from skfleet_worker.work import Work

#: Longest time between two looks at clocks (stuck scorers, drain deadline, restarts).
TICK_SECONDS = 0.5
#: Deaths of one scorer before any was ready, after which the worker gives up.
BOOT_DEATHS = 3

log = structlog.get_logger()


@dataclass(frozen=True)
class Arrived:
    """The receiver brings deliveries; none at all is its last word."""

    deliveries: list[Delivery]
    #: When the call that brought them began: their leases may be that old.
    received_at: float


@dataclass(frozen=True)
class Entrusted:
    """The caretaker has work that no delivery brought."""

    work: Work


@dataclass(frozen=True)
class Lost:
    """A lease is another worker's now."""

    lease: Lease


class Supervisor:
    """One worker: a crew of scorers, and the queue that they never see."""

    def __init__(
        self,
        settings: Settings,
        cloud: Cloud,
        *,
        worker: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._inbox: Inbox[Arrived | Entrusted | Lost | None] = Inbox()
        self._keeper = LeaseKeeper(
            cloud.queue,
            lease_seconds=settings.lease_seconds,
            heartbeat_seconds=settings.heartbeat_seconds,
            clock=clock,
            on_lost=lambda lease: self._inbox.put(Lost(lease)),
        )
        self._caretaker = Caretaker(
            cloud,
            settings,
            worker=worker,
            entrust=lambda work: self._inbox.put(Entrusted(work)),
        )
        self._mail = Mail(cloud, self._keeper, settings, on_unreadable=self._caretaker.lay_to_rest)
        self._receiver = Receiver(
            cloud.queue,
            poll_seconds=settings.poll_seconds,
            lease_seconds=settings.lease_seconds,
            clock=clock,
            deliver=lambda deliveries, since: self._inbox.put(Arrived(deliveries, since)),
        )
        size = settings.scorers or _cores()
        self._crew = Crew(settings, size=size, worker=worker, clock=clock)
        self._presence = Presence(
            cloud.tracker,
            worker=worker,
            supervisor_pid=os.getpid(),
            heartbeat_seconds=settings.heartbeat_seconds,
            look=lambda: self._seen,
        )
        self._drain = Drain(drain_seconds=settings.drain_seconds, clock=clock)
        #: Received, but not begun: at most one, unless a scorer died while the receiver was polling.
        self._waiting: deque[Work] = deque()
        #: Deliveries that the receiver was asked for and has not brought yet.
        self._asked = 0
        self._was_ready = False
        self._is_draining = False
        #: Scorers and what they work on, as the presence thread may read it at any time.
        self._seen: tuple[list[int], list[str]] = ([], [])

    def run(self) -> None:
        """Work until a drain is over.

        Raises:
            EnvironmentFault: no scorer can start here.
            UsageError: no scorer can start with these settings.
        """
        with on_signals(self._on_signal):
            try:
                self._crew.fill()
                self._keeper.start()
                self._receiver.start()
                self._caretaker.start()
                while not self._is_done():
                    self._turn()
            finally:
                self._close()

    def _turn(self) -> None:
        # What woke the loop does not matter: everything is looked at, in a fixed order.
        wait([*self._crew.waitables(), self._inbox.fileno()], timeout=TICK_SECONDS)
        for scorer in self._crew.scorers:
            self._listen_to(scorer)
        for event in self._inbox.take():
            self._take(event)
        self._look_at_the_clock()
        if self._drain.is_on:
            self._stop_receiving()
            self._release_waiting()
            if self._drain.is_over:
                self._release_running()
        else:
            self._hand_out()
            self._crew.fill()
            self._ask_for_work()
        self._caretaker.has_room = bool(self._crew.free()) and not self._drain.is_on
        self._seen = (self._crew.pids, [work.name for scorer in self._crew.busy() if (work := scorer.work)])

    # What scorers say and how they end.

    def _listen_to(self, scorer: Scorer) -> None:
        # Asked before reading: what is said after this is read on the next turn.
        ended = scorer.has_ended()
        for message in scorer.messages():
            if isinstance(message, Ready):
                self._on_ready(scorer)
            elif isinstance(message, Unfit):
                self._on_unfit(scorer, message)
            elif isinstance(message, Progress) and scorer.work:
                scorer.work.lease.progress_at = self._clock()
            elif isinstance(message, Finished):
                self._on_finished(scorer, message)
        if ended:
            self._on_end(scorer)

    def _on_ready(self, scorer: Scorer) -> None:
        log.info("scorer.ready", scorer=scorer.pid)
        if not self._was_ready:
            self._was_ready = True
            self._presence.start()
        self._presence.changed()

    def _on_unfit(self, scorer: Scorer, message: Unfit) -> None:
        log.error("scorer.unfit", scorer=scorer.pid, error=message.sentence)
        if not self._was_ready:
            fault = UsageError if message.exit_code == UsageError.exit_code else EnvironmentFault
            raise fault(message.sentence)

    def _on_finished(self, scorer: Scorer, message: Finished) -> None:
        work, scorer.work = scorer.work, None
        if work is None:
            return
        if not self._drain.is_on:
            # The next chunk first: what the queue says to the last one can wait.
            self._hand_out()
        if message.ending is Ending.ACK:
            self._mail.ack(work.lease)
        else:
            self._mail.release(work.lease, delay_seconds=message.delay_seconds)

    def _on_end(self, scorer: Scorer) -> None:
        pid = scorer.pid
        how, work = scorer.bury(self._clock())
        log.warning("scorer.died", scorer=pid, how=how, **(work.fields if work else {}))
        self._presence.changed()
        if not self._was_ready and scorer.deaths >= BOOT_DEATHS:
            raise EnvironmentFault(f"No scorer could start (the last one {how}); the log above says why.")
        if work:
            self._after_loss(work, f"its scoring process {how}")

    def _end(self, scorer: Scorer) -> Work | None:
        """Kill a scorer for a reason that the caller has logged; gives what it worked on."""
        scorer.kill()
        _, work = scorer.bury(self._clock())
        self._presence.changed()
        return work

    def _after_loss(self, work: Work, reason: str) -> None:
        """Release what a scorer did not finish, or have its failure recorded after the last attempt."""
        attempts = work.lease.delivery.receive_count
        self._caretaker.note_trouble(work.assignment, reason)
        if attempts < self._settings.max_attempts:
            self._mail.release(work.lease, delay_seconds=backoff_seconds(attempts), reason=reason)
        else:
            work.lease.progress_at = None
            self._waiting.append(work.giving_up(f"{reason} at attempt {attempts}"))

    # What threads report.

    def _take(self, event: Arrived | Entrusted | Lost | None) -> None:
        if isinstance(event, Arrived):
            self._asked -= len(event.deliveries)
            for delivery in event.deliveries:
                work = self._mail.open(delivery, received_at=event.received_at)
                if work and self._drain.is_on:
                    self._mail.release(work.lease, reason="the worker drains")
                elif work:
                    self._waiting.append(work)
        elif isinstance(event, Entrusted):
            if not self._drain.is_on:
                self._waiting.append(event.work)
        elif isinstance(event, Lost):
            self._waiting = deque(work for work in self._waiting if work.lease is not event.lease)
            for scorer in self._crew.busy():
                if scorer.work and scorer.work.lease is event.lease:
                    log.warning("attempt.stopped", scorer=scorer.pid, why="its lease was lost")
                    self._end(scorer)

    def _look_at_the_clock(self) -> None:
        now = self._clock()
        for scorer in self._crew.busy():
            if scorer.work and scorer.work.lease.is_stuck(now):
                log.warning("scorer.stuck", scorer=scorer.pid, seconds=scorer.work.lease.allowance_seconds)
                if work := self._end(scorer):
                    seconds = work.lease.allowance_seconds
                    self._after_loss(work, f"its scoring process reported nothing for {seconds:g} seconds")
        if not self._crew.has_ready and any(
            now - work.lease.received_at > self._settings.lease_seconds for work in self._waiting
        ):
            # Nobody here can begin it; other workers may.
            self._release_waiting("no scorer is ready")

    # Handing out and asking for work.

    def _hand_out(self) -> None:
        for scorer in self._crew.free():
            while self._waiting and scorer.is_free:
                work = self._waiting.popleft()
                now = self._clock()
                if not work.lease.is_lost(now):  # The keeper notices too, but perhaps later.
                    work.lease.progress_at = now
                    scorer.give(work)

    def _ask_for_work(self) -> None:
        # Beyond what can start now, one chunk is kept ready, and only while all scorers are busy.
        free = len(self._crew.free())
        room = free or (1 if self._crew.has_ready else 0)
        wanted = room - len(self._waiting) - self._asked
        if wanted > 0:
            self._asked += wanted
            self._receiver.ask(wanted)

    # Ending.

    def _on_signal(self) -> None:
        # Interrupts the main thread anywhere: it only notes the wish and wakes the loop.
        self._drain.request()
        self._inbox.put(None)

    def _stop_receiving(self) -> None:
        if not self._is_draining:
            self._is_draining = True
            log.info("worker.draining", in_progress=len(self._crew.busy()))
            self._receiver.stop()

    def _release_waiting(self, reason: str = "the worker drains") -> None:
        while self._waiting:
            self._mail.release(self._waiting.popleft().lease, reason=reason)

    def _release_running(self) -> None:
        for scorer in self._crew.busy():
            if work := self._end(scorer):
                self._mail.release(work.lease, reason="the drain is over")

    def _is_done(self) -> bool:
        if not self._drain.is_on or self._crew.busy() or self._waiting:
            return False
        # The poll under way may get the very message that was just released, and must hand it back.
        return self._drain.is_hurried or not self._receiver.is_running

    def _close(self) -> None:
        self._release_running()
        self._release_waiting()
        self._crew.kill()
        self._keeper.stop()
        self._caretaker.stop()
        self._presence.retire()


def _cores() -> int:
    """Give the cores that this process may use, where the system tells; else those of the host."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
