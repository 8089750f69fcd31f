"""The supervisor's loop: it owns the queue, and decides what becomes of every delivery."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait

import structlog

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.settings import Settings
from skfleet_worker.backoff import Rest
from skfleet_worker.boot import Boot
from skfleet_worker.caretaker import Caretaker
from skfleet_worker.clock import host_seconds
from skfleet_worker.cores import cores
from skfleet_worker.crew import Crew, Ended, Scorer
from skfleet_worker.drain import Drain, on_signals
from skfleet_worker.events import Arrived, Entrusted, Event, Lost
from skfleet_worker.inbox import Inbox
from skfleet_worker.intake import Intake
from skfleet_worker.interruptions import Interruption, interruption_watch
from skfleet_worker.lease import Lease, LeaseKeeper
from skfleet_worker.mail import Mail
from skfleet_worker.outcomes import frames_of
from skfleet_worker.pace import Pace
from skfleet_worker.presence import Presence, Seen
from skfleet_worker.protocol import Ending, Finished, FromScorer, Progress, Ready, Unfit
from skfleet_worker.receiver import Receiver
from skfleet_worker.salvage import Salvage
from skfleet_worker.work import Work

#: Longest time between two looks at clocks (stuck scorers, drain deadline, restarts).
TICK_SECONDS = 0.5
#: How long after a drain's end the poll under way is waited for: what was released comes at once or never.
LAST_WORD_SECONDS = 2.0

RESTS = "its worker rests after a setback"

log = structlog.get_logger()


class Supervisor:
    """One worker: a crew of scorers, and the queue that they never see."""

    def __init__(
        self,
        settings: Settings,
        cloud: Cloud,
        *,
        worker: str,
        clock: Callable[[], float] = host_seconds,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._inbox: Inbox[Event] = Inbox()
        self._keeper = LeaseKeeper(
            cloud.queue,
            lease_seconds=settings.lease_seconds,
            heartbeat_seconds=settings.heartbeat_seconds,
            clock=clock,
            on_lost=lambda lease: self._inbox.put(Lost(lease)),
        )
        self._caretaker = Caretaker(
            cloud, settings, worker=worker, entrust=lambda work: self._inbox.put(Entrusted(work))
        )
        self._mail = Mail(
            cloud,
            self._keeper,
            settings,
            on_unreadable=self._caretaker.lay_to_rest,
            on_newer=self._caretaker.note_newer,
        )
        self._receiver = Receiver(
            cloud.queue,
            poll_seconds=settings.poll_seconds,
            lease_seconds=settings.lease_seconds,
            clock=clock,
            deliver=lambda deliveries, since: self._inbox.put(Arrived(deliveries, since)),
        )
        self._intake = Intake(self._receiver, self._mail)
        self._crew = Crew(settings, size=settings.scorers or cores(), worker=worker, clock=clock)
        self._salvage = Salvage(settings, self._mail, self._intake, note=self._caretaker.note_trouble)
        #: What the presence thread may read at any time.
        self._seen = Seen()
        self._presence = Presence(
            cloud.tracker,
            worker=worker,
            supervisor_pid=os.getpid(),
            heartbeat_seconds=settings.heartbeat_seconds,
            allow_joblib=settings.allow_joblib,
            look=lambda: self._seen,
        )
        self._boot = Boot()
        self._pace = Pace()
        self._rest = Rest()
        self._drain = Drain(drain_seconds=settings.drain_seconds, clock=clock)
        self._interruptions = interruption_watch(settings, tell=self._inbox.put)
        self._is_draining = False

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
                if self._interruptions:
                    self._interruptions.start()
                while not self._is_done():
                    self._turn()
            finally:
                self._close()

    def _turn(self) -> None:
        # What woke the loop does not matter: everything is looked at, in a fixed order.
        wait([*self._crew.waitables(), self._inbox.fileno()], timeout=TICK_SECONDS)
        # Leases first: this process may have been stopped for longer than they last.
        self._keeper.look()
        for scorer, message in self._crew.news():
            with self._going_on():
                self._hear(scorer, message)
        for event in self._inbox.take():
            with self._going_on():
                self._take(event)
        self._look_at_the_clock()
        if self._drain.is_on:
            self._wind_down()
        else:
            self._hand_out()
            self._crew.fill()
            if not self._rest.is_on(self._clock()):
                self._intake.ask(self._crew)
        self._seen = self._crew.seen(self._intake.waiting)
        is_idle = not self._drain.is_on and not self._rest.is_on(self._clock())
        self._caretaker.has_room = is_idle and bool(self._crew.free())

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Outlive an error that nobody foresaw: it is logged, and what nobody works on any more is let go."""
        try:
            yield
        except SkfleetError:
            raise
        except Exception as exc:  # noqa: BLE001  (the loop's one: the other chunks of this worker go on)
            log.error("loop.failed", frames=frames_of(exc))  # noqa: TRY400  (it may hold row values)
            in_hand = [scorer.work for scorer in self._crew.busy() if scorer.work]
            self._keeper.keep_only({work.lease for work in [*in_hand, *self._intake.waiting]})

    # What scorers say and how they end.

    def _hear(self, scorer: Scorer, message: FromScorer | Ended) -> None:
        if isinstance(message, Ready):
            self._on_ready(scorer)
        elif isinstance(message, Unfit):
            self._boot.on_unfit(scorer, message)
        elif isinstance(message, Progress) and scorer.work:
            scorer.work.progress(self._clock(), rows=message.rows)
            self._pace.note(scorer.work)
        elif isinstance(message, Finished) and scorer.work:
            self._on_finished(scorer, message)
        elif isinstance(message, Ended):
            self._on_end(scorer, message)

    def _on_ready(self, scorer: Scorer) -> None:
        log.info("scorer.ready", scorer=scorer.pid)
        if not self._boot.is_over:
            self._boot.is_over = True
            self._presence.start()
        self._presence.changed()

    def _on_finished(self, scorer: Scorer, message: Finished) -> None:
        if message.ending is Ending.SMALLER:
            if work := self._end(scorer):
                self._salvage.after_memory_error(work)
            return
        work = scorer.take_back()
        if work is None:
            return
        if message.ending is Ending.SETBACK:
            self._stumble()
        elif not self._drain.is_on:
            # The next chunk first: what the queue says to the last one can wait.
            self._hand_out()
        if message.ending is Ending.ACK:
            self._rest.recover()
            self._mail.ack(work.lease)
        elif message.ending is Ending.RELEASE:
            self._mail.retry(work, delay_seconds=message.delay_seconds)
        elif message.ending is Ending.SETBACK:
            self._mail.put_off(work, delay_seconds=message.delay_seconds)
        elif message.ending is Ending.LATER:
            self._mail.release(work.lease, delay_seconds=message.delay_seconds)
        else:
            self._mail.release(work.lease, reason="its scorer saw the lease run out")

    def _stumble(self) -> None:
        log.warning("worker.rests", seconds=self._rest.stumble(self._clock()))
        # Another host may do better.
        self._intake.release(RESTS)

    def _on_end(self, scorer: Scorer, ended: Ended) -> None:
        work = ended.work
        log.warning("scorer.died", scorer=ended.pid, how=ended.how, **(work.fields if work else {}))
        self._presence.changed()
        self._boot.on_death(scorer, ended)
        if work:
            self._salvage.after_death(work, ended)

    def _end(self, scorer: Scorer) -> Work | None:
        """Kill a scorer for a reason that the caller has logged; gives what it worked on."""
        scorer.kill()
        ended = scorer.bury(self._clock())
        self._presence.changed()
        return ended.work

    # What threads report.

    def _take(self, event: Event) -> None:
        if isinstance(event, Arrived):
            self._intake.take(event)
            if self._rest.is_on(self._clock()):
                self._intake.release(RESTS)
        elif isinstance(event, Entrusted):
            self._intake.put_back(event.work)
        elif isinstance(event, Lost):
            self._on_lost(event.lease)
        elif isinstance(event, Interruption):
            log.warning("worker.interrupted", why=event.why, seconds=event.seconds)
            self._drain.on_interruption(event.seconds)

    def _on_lost(self, lease: Lease) -> None:
        self._intake.forget(lease)
        for scorer in self._crew.busy():
            if scorer.work and scorer.work.lease is lease:
                log.warning("attempt.stopped", scorer=scorer.pid, why="its lease was lost")
                self._end(scorer)

    def _look_at_the_clock(self) -> None:
        now = self._clock()
        for scorer in self._crew.busy():
            if scorer.work and scorer.work.lease.is_stuck(now):
                log.warning("scorer.stuck", scorer=scorer.pid, seconds=scorer.work.lease.allowance_seconds)
                if work := self._end(scorer):
                    self._salvage.after_silence(work)
        self._intake.release_stranded(self._crew, now, after_seconds=self._settings.lease_seconds)

    def _hand_out(self) -> None:
        now = self._clock()
        if self._rest.is_on(now):
            return
        for scorer in self._crew.free():
            if work := self._intake.next(now):
                self._salvage.begin(work, now)
                scorer.give(work)

    # Ending.

    def _on_signal(self) -> None:
        # Interrupts the main thread anywhere: it only notes the wish and wakes the loop.
        self._drain.on_signal()
        self._inbox.put(None)

    def _wind_down(self) -> None:
        if not self._is_draining:
            self._is_draining = True
            busy, seconds = len(self._crew.busy()), round(self._drain.seconds_left(), 1)
            log.info("worker.draining", in_progress=busy, seconds=seconds)
        self._intake.close()
        left = self._drain.seconds_left()
        for scorer in self._crew.busy():
            needed = self._pace.seconds_left(scorer.work, self._clock()) if scorer.work else None
            if left <= 0:
                self._give_back(scorer, "the drain is over")
            elif needed is not None and needed > left:
                self._give_back(scorer, f"it needs about {needed:.0f} seconds, the drain leaves {left:.0f}")

    def _give_back(self, scorer: Scorer, reason: str) -> None:
        if work := self._end(scorer):
            self._mail.give_back(work, reason=reason)

    def _is_done(self) -> bool:
        if not self._drain.is_on or self._crew.busy() or not self._intake.is_empty:
            return False
        # The poll under way may get the very message that was just released, and must hand it back.
        if self._drain.is_hurried or self._intake.is_over:
            return True
        return self._drain.seconds_left() <= -LAST_WORD_SECONDS

    def _close(self) -> None:
        for scorer in self._crew.busy():
            self._give_back(scorer, "the worker ends")
        self._intake.close()
        self._crew.kill()
        self._keeper.stop()
        self._caretaker.stop()
        if self._interruptions:
            self._interruptions.stop()
        self._presence.retire()
