"""Turns: of several jobs that publish to one table, one does so at a time.

::

    job A ─ PUBLISHING ─ hold ✔ ─ publish ─ SUCCEEDED ─ release
    job B ─ PUBLISHING ─ hold ✘ (A's) ────────────────────── hold ✔ ─ publish
    job A dies on the way ─ FAILED or CANCELLED by somebody ─ hold ✔ of B (A is not publishing any more)

A turn spares two jobs that they load at the same time and one of them in vain. That a job has its effect
once, and that a job which ended has none, is the ledger's to see to, not the turn's.
"""

from __future__ import annotations

from skfleet_common.aws.tracker_jobs import JobRecords
from skfleet_common.aws.tracker_table import (
    ITEM_VERSION,
    TTL_ATTRIBUTE,
    from_item,
    to_item,
    turn_key,
)
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import TryAgain
from skfleet_common.contracts.states import JobState

#: Each lost try means that another job took the turn meanwhile.
TRIES = 10

NOBODYS = "attribute_not_exists(#pk)"
OF_HOLDER = "#job = :holder AND #run = :holder_run"
MAY_HOLD = f"{NOBODYS} OR ({OF_HOLDER})"


class Turns(JobRecords):
    """The turns in the tracker."""

    def hold_table(self, table: TableName, *, address: str, job: str, run: int) -> str:
        """Take the turn to publish to a table of the warehouse at ``address``; gives the job that has it.

        A PUBLISHING job keeps it until it has ended: a run that was PUBLISHING and is not any more never
        is again, so its turn may be taken from it.
        """
        turn = turn_key(address, table) | to_item(
            {"v": ITEM_VERSION, "job": job, "run": run, TTL_ATTRIBUTE: self.expiry}
        )
        holder, holder_run = job, run
        for _ in range(TRIES):
            standing = self.put_if(turn, MAY_HOLD, {":holder": holder, ":holder_run": holder_run})
            if standing is None:
                return job
            seen = from_item(standing)
            # The next try takes it from the holder that was seen, and from no other.
            holder, holder_run = str(seen["job"]), int(seen["run"])
            if self._is_publishing(holder, holder_run):
                return holder
        raise TryAgain(f"The turn to publish to {table} keeps changing hands; try again.")

    def release_table(self, table: TableName, *, address: str, job: str, run: int) -> None:
        """Give a turn back; nothing happens if another job has it."""
        self.delete_if(turn_key(address, table), OF_HOLDER, {":holder": job, ":holder_run": run})

    def _is_publishing(self, job: str, run: int) -> bool:
        record = self._find(job)
        return record is not None and record.state is JobState.PUBLISHING and record.run == run
