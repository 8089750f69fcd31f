"""Troubles: the last thing that went wrong with a chunk which is not committed yet, for people to read."""

from __future__ import annotations

from datetime import datetime

from pydantic import NonNegativeInt, PositiveInt

from skfleet_common.contracts.jobs import JobId
from skfleet_common.contracts.shapes import StoredShape


class Trouble(StoredShape):
    """A failed attempt, as ``status`` lists it. Written only when one fails; nothing is decided by it."""

    job: JobId
    run: PositiveInt
    #: None for the publication.
    chunk: NonNegativeInt | None = None
    attempts: PositiveInt
    worker: str
    #: One sentence, without row values.
    reason: str
    #: By the worker's own clock: for display.
    at: datetime
