"""Pace: how fast scorers get on with a job, and so how long what they work on still takes."""

from __future__ import annotations

from skfleet_common.contracts.messages import ChunkMessage
from skfleet_worker.work import Work

#: Jobs whose pace is remembered.
MAX_JOBS = 100


class Pace:
    """Rows a second, measured from the moment a scorer was given a chunk to its last batch."""

    def __init__(self) -> None:
        self._rows_per_second: dict[str, float] = {}

    def note(self, work: Work) -> None:
        """Learn from work that has got on."""
        if (speed := _speed(work)) is None:
            return
        job = work.assignment.message.job
        self._rows_per_second.pop(job, None)
        self._rows_per_second[job] = speed
        if len(self._rows_per_second) > MAX_JOBS:
            del self._rows_per_second[next(iter(self._rows_per_second))]

    def seconds_left(self, work: Work, now: float) -> float | None:
        """Give how long work in progress still takes at its own pace, else at its job's; None if unknown.

        Unknown are publications, and chunks of a job of which nothing was scored here yet.
        """
        message = work.assignment.message
        if not isinstance(message, ChunkMessage) or work.assignment.give_up_because or work.began_at is None:
            return None
        own = _speed(work)
        speed = own or self._rows_per_second.get(message.job)
        if speed is None:
            return None
        # The rows of a batch that is under way count as time, not as rows.
        since = work.began_at if own is None else work.lease.progress_at or work.began_at
        return max(0.0, (message.chunk.rows - work.rows_read) / speed - (now - since))


def _speed(work: Work) -> float | None:
    if work.began_at is None or work.lease.progress_at is None or not work.rows_read:
        return None
    seconds = work.lease.progress_at - work.began_at
    return work.rows_read / seconds if seconds > 0 else None
