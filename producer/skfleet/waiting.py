"""Waiting: look at a job until it has ended. A fault that passes is told once, and waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from skfleet.progress import Steps
from skfleet.stalls import StallNotes
from skfleet.status import JobStatus
from skfleet_common.contracts.errors import JobFailed, SkfleetError, WaitTimedOut
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState

#: How often a waiting command looks: quick at first, then one look in five seconds costs nothing.
FIRST_LOOK_SECONDS = 0.2
SLOWEST_LOOK_SECONDS = 5.0

#: How long the fleet may be out of reach for somebody who waits without a time-out: as long as the restart of
#: a service takes, and no longer, for the job may have ended meanwhile.
OUT_OF_REACH_SECONDS = 600.0


@dataclass
class Waiting:
    """One wait for one job, by a monotonic ``clock``."""

    record: JobRecord
    look: Callable[[], JobStatus]
    steps: Steps
    timeout_seconds: float | None
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    _began: float = field(init=False)
    #: Since when every look has failed.
    _lost_at: float | None = field(init=False, default=None)

    def until_ended(self) -> JobStatus:
        """Give the job's last status.

        Raises:
            JobFailed: it ended without publishing; the sentence says why.
            WaitTimedOut: ``timeout_seconds`` have passed before it ended, or before anybody could see that.
            SkfleetError: the fleet was out of reach for too long, and no time-out was given.
        """
        self._began = self.clock()
        pause = FIRST_LOOK_SECONDS
        notes = StallNotes(self.steps.note)
        with self.steps.step("Scoring", total=self.record.rows) as step:
            while True:
                status = self._try_to_look()
                if status is not None:
                    if status.rows_done is not None:
                        step.reach(status.rows_done, status.rows)
                    if status.state is JobState.SUCCEEDED:
                        return status
                    if status.state.is_terminal:
                        # Raised in here, so that the bar stays where it is.
                        reason = status.reason or "No reason was recorded."
                        raise JobFailed(f"Job {status.job} {status.state}: {reason}")
                    notes.see(status)
                left = self._left()
                if left is not None and left <= 0:
                    raise self._timed_out(status)
                self.sleep(pause if left is None else min(pause, left))
                pause = min(pause * 1.2, SLOWEST_LOOK_SECONDS)

    def _try_to_look(self) -> JobStatus | None:
        """Look; None if a fault that passes was in the way."""
        try:
            status = self.look()
        except SkfleetError as fault:
            if not fault.retryable:
                raise
            if self._lost_at is None:
                self._lost_at = self.clock()
                self.steps.note(f"{fault} The wait for job {self.record.job} goes on.")
            elif self.timeout_seconds is None and self.clock() - self._lost_at >= OUT_OF_REACH_SECONDS:
                raise
            return None
        if self._lost_at is not None:
            self._lost_at = None
            self.steps.note(f"Job {self.record.job} is in sight again.")
        return status

    def _left(self) -> float | None:
        if self.timeout_seconds is None:
            return None
        return self.timeout_seconds - (self.clock() - self._began)

    def _timed_out(self, status: JobStatus | None) -> WaitTimedOut:
        where = "cannot be seen" if status is None else f"is still {status.state}"
        return WaitTimedOut(
            f"Job {self.record.job} {where} after {self.timeout_seconds:g} seconds; "
            f"wait again with: skfleet wait {self.record.job}"
        )
