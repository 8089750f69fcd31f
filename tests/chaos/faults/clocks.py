"""The clock of a host, which jumps."""

from __future__ import annotations

import time

from tests.chaos import host
from tests.chaos.fault import Fault
from tests.chaos.trial import Trial

#: Long enough for a heartbeat or two by the wrong time.
STAY_SECONDS = 1.5


class ClockJumps(Fault):
    """The worker whose clock can be set finds itself in another hour, and a moment later back."""

    hours = 1.0

    def strike(self, trial: Trial) -> None:
        self.workers = [worker for worker in trial.place.workers if worker.has_own_clock]
        self.since = time.monotonic()
        for worker in self.workers:
            host.set_clock(worker.clock, 3_600.0 * self.hours)

    def is_over(self, trial: Trial) -> bool:
        return time.monotonic() - self.since > STAY_SECONDS

    def mend(self, trial: Trial) -> None:
        for worker in self.workers:
            host.set_clock(worker.clock, 0.0)


class ClockForward(ClockJumps):
    """An hour ahead: every lease looks lost."""


class ClockBack(ClockJumps):
    """An hour back: every lease looks as if it held for long."""

    hours = -1.0
