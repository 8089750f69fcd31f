"""Runs: which chunks a retry takes up again. The first run has them all, and needs no plan of its own."""

from __future__ import annotations

from pydantic import NonNegativeInt, PositiveInt

from skfleet_common.contracts.jobs import JobId
from skfleet_common.contracts.shapes import StoredShape


class RunPlan(StoredShape):
    """The chunks of one run, by number and in order: the position in the run's tree is the place here.

    Written once, before the run starts: of two terminals that retry at once, both use the first one's.
    """

    job: JobId
    run: PositiveInt
    chunks: tuple[NonNegativeInt, ...]
