"""Intake: what was asked of the queue, and what came of it and no scorer has begun."""

from __future__ import annotations

from collections import deque

from skfleet_worker.crew import Crew
from skfleet_worker.events import Arrived
from skfleet_worker.lease import Lease
from skfleet_worker.mail import Mail
from skfleet_worker.receiver import Receiver
from skfleet_worker.work import Work


class Intake:
    """Asks for as much as can begin, and for one chunk more while every scorer is busy."""

    def __init__(self, receiver: Receiver, mail: Mail) -> None:
        self._receiver = receiver
        self._mail = mail
        #: At most one, unless a scorer died while the receiver was polling.
        self._waiting: deque[Work] = deque()
        #: Deliveries that the receiver was asked for and has not brought yet.
        self._asked = 0
        self._is_open = True
        #: Whether the receiver has said its last word. That its thread is gone is not enough to know: what
        #: it brought last may not have been taken yet, and would stay hidden for a lease.
        self.is_over = False
        #: When a scorer was last ready.
        self._served_at: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to begin."""
        return not self._waiting

    @property
    def waiting(self) -> tuple[Work, ...]:
        """What no scorer has begun, or none has any more."""
        return tuple(self._waiting)

    def take(self, event: Arrived) -> None:
        """Open what the receiver brought; a closed intake gives it back."""
        self._asked -= len(event.deliveries)
        self.is_over = not event.deliveries
        for delivery in event.deliveries:
            if work := self._mail.open(delivery, received_at=event.received_at):
                self._waiting.append(work)
        if not self._is_open:
            self.release("the worker drains")

    def put_back(self, work: Work) -> None:
        """Let work that was begun here begin again here, before any other."""
        work.pause()
        self._waiting.appendleft(work)

    def next(self, now: float) -> Work | None:
        """Give what is to begin now; what has lost its lease is not (the keeper tells of it)."""
        while self._waiting:
            work = self._waiting.popleft()
            if not work.lease.is_lost(now):
                return work
        return None

    def forget(self, lease: Lease) -> None:
        """Another worker has it."""
        self._waiting = deque(work for work in self._waiting if work.lease is not lease)

    def ask(self, crew: Crew) -> None:
        """Ask for what can start now; beyond that one chunk is kept ready, only while all are busy.

        Not behind publications alone: they may take an hour, and another worker may be idle.
        """
        is_scoring = any(scorer.is_on_chunk for scorer in crew.busy())
        room = len(crew.free()) or (1 if is_scoring and crew.has_ready else 0)
        wanted = room - len(self._waiting) - self._asked
        if wanted > 0:
            self._asked += wanted
            self._receiver.ask(wanted)

    def close(self) -> None:
        """Take nothing more; what waits, and what a poll under way may still bring, goes back."""
        if self._is_open:
            self._is_open = False
            self._receiver.stop()
        self.release("the worker drains")

    def release(self, reason: str) -> None:
        """Give back what waits."""
        while self._waiting:
            self._mail.give_back(self._waiting.popleft(), reason=reason)

    def release_stranded(self, crew: Crew, now: float, *, after_seconds: float) -> None:
        """Give back what waits once no scorer has been ready for so long: nobody here can begin it.

        How old its deliveries are does not matter: a scorer that has died is replaced within seconds.
        """
        if crew.has_ready or self._served_at is None:
            self._served_at = now
        elif now - self._served_at > after_seconds:
            self.release("no scorer is ready")
