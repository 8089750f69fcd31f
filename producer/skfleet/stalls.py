"""Stalls as a user sees them: how long a job has been quiet, who holds what is left, and when to say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from skfleet_common.aws.tracker import Progress, Tracker
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.stalls import Straggler, quiet_seconds, stragglers

if TYPE_CHECKING:
    from skfleet.status import JobStatus

#: Stragglers that ``status`` lists, and those that a note names.
SHOWN = 20
NAMED_AT_MOST = 3


@dataclass(frozen=True)
class Stall:
    """A job without a commit for longer than it should be."""

    seconds: float
    stragglers: tuple[Straggler, ...]
    #: Workers of the fleet that are alive, whatever they do.
    workers: int


def words(status: JobStatus) -> str | None:
    """Say for people what keeps the job; None while it does not stall."""
    if status.stalled_seconds is None:
        return None
    quiet = f"no chunk was committed for {status.stalled_seconds:.0f} seconds"
    if not status.workers_alive:
        return f"{quiet}, and no worker is alive; start some (locally: skfleet local up)"
    named = "; ".join(str(straggler) for straggler in status.stragglers[:NAMED_AT_MOST])
    more = len(status.stragglers) - NAMED_AT_MOST
    waits = f"{quiet}; it waits for {named}" + (f"; and for {more} more" if more > 0 else "")
    if any(straggler.worker for straggler in status.stragglers):
        return waits
    return f"{waits}; if their messages are lost, send them again with: skfleet resume {status.job}"


def find_stall(
    tracker: Tracker,
    record: JobRecord,
    progress: Progress,
    missing: Callable[[], Sequence[int]],
    *,
    stall_seconds: float,
    now: datetime,
) -> Stall | None:
    """Give the stall of a job that has not ended, if it is one; only then the workers are asked for."""
    if record.state.is_terminal:
        return None
    seconds = quiet_seconds(record, last_at=progress.last_at, now=now)
    if seconds <= stall_seconds:
        return None
    workers = tracker.workers()
    return Stall(seconds, stragglers(record, missing(), workers, limit=SHOWN), len(workers))


class StallNotes:
    """Says once that a stall has begun, and once that it is over."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._is_on = False

    def see(self, status: JobStatus) -> None:
        """Look at what the job's status says now."""
        sentence = words(status)
        if (sentence is not None) != self._is_on:
            self._is_on = sentence is not None
            self._note(f"Job {status.job} {'stalls: ' + sentence if sentence else 'goes on again'}.")
