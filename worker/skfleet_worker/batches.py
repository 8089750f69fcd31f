"""Batches: in how small ones a chunk is tried again when the memory did not suffice."""

from __future__ import annotations

from skfleet_common.contracts.messages import ChunkMessage
from skfleet_worker.protocol import Assignment
from skfleet_worker.work import Work

FACTOR = 4
#: No batch is cut below this: so few rows are not what fills a host's memory.
FEWEST_ROWS = 1_000


def smaller(batch_rows: int, rows: int) -> int | None:
    """Give the next smaller batch of a chunk of ``rows`` rows; None when it is small enough already."""
    held = min(batch_rows, rows)
    return max(FEWEST_ROWS, held // FACTOR) if held > FEWEST_ROWS else None


class Batches:
    """The batch sizes of this worker: what filled its memory once does so again with the next chunk."""

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows
        self._by_job: dict[str, int] = {}

    def fit(self, work: Work) -> None:
        """Let work begin with what its job is known to need."""
        size = self._by_job.get(work.assignment.message.job)
        if size is not None and size < (work.assignment.batch_rows or self._batch_rows):
            work.shrink(size)

    def shrink(self, work: Work, how: str, *, lastingly: bool) -> int | None:
        """Have a chunk tried again in smaller batches; None when that is no remedy.

        ``how`` its scorer ended goes into the commit; ``lastingly`` lets the job's other chunks begin so.
        """
        size = self._next(work.assignment)
        if size is not None:
            trouble = f"The scoring process {how}; scored in batches of {size:,} rows."
            work.shrink(size, trouble=trouble)
            if lastingly:
                self._by_job[work.assignment.message.job] = size
        return size

    def _next(self, assignment: Assignment) -> int | None:
        message = assignment.message
        if not isinstance(message, ChunkMessage) or assignment.give_up_because:
            return None
        return smaller(assignment.batch_rows or self._batch_rows, message.chunk.rows)
