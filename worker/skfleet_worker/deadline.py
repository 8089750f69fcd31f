"""Deadline: a lease's end, in memory that supervisor and scorer share.

A supervisor that was stopped past its lease cannot stop its scorer; the scorer has to see for itself
that the delivery may be another worker's by now.
"""

from __future__ import annotations

from multiprocessing.sharedctypes import RawValue

from skfleet_common.contracts.errors import SkfleetError
from skfleet_worker.clock import host_seconds

#: Of a lease that is lost or given back.
OVER = float("-inf")


class LeaseLost(SkfleetError):
    """The delivery may be another worker's by now. Nobody acts: the attempt ends, and touches nothing."""


class Deadline:
    """One seat's reading of :func:`host_seconds` up to which its scorer may commit.

    It has no lock: one that a stopped supervisor held would stop the scorer too. Eight aligned bytes
    are written and read at once.
    """

    def __init__(self) -> None:
        self._cell = RawValue("d", OVER)

    @property
    def at(self) -> float:
        """The reading from which on the lease counts as lost."""
        return float(self._cell.value)

    @at.setter
    def at(self, reading: float) -> None:
        self._cell.value = reading

    def check(self) -> None:
        """Go on only with a lease.

        Raises:
            LeaseLost: it has run out, or the queue says that it is lost.
        """
        if host_seconds() >= self.at:
            raise LeaseLost("The lease ran out before the work was done; another worker may have it.")
