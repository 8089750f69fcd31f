"""Workers: what each announces of itself, so that people and preflights know the fleet."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, NonNegativeInt, PositiveInt

from skfleet_common.contracts.shapes import Shape, StoredShape


class Holding(Shape):
    """A delivery that a worker works on, or that waits there for a scorer."""

    job: str
    run: PositiveInt
    #: None while it publishes.
    chunk: NonNegativeInt | None = None
    #: How often SQS had delivered the message, this time included.
    attempts: PositiveInt = 1
    rows_read: NonNegativeInt = 0
    #: Since this worker began with it, or received it if it waits, by its own clock.
    seconds: float = 0.0


class WorkerPresence(StoredShape):
    """One worker as it last announced itself. Written with its heartbeats, never once a chunk."""

    worker: str
    host: str
    supervisor_pid: int
    scorer_pids: tuple[int, ...] = ()
    #: Library name to exact version, as the preflight compares them with a bundle's.
    versions: dict[str, str] = Field(default_factory=dict)
    #: Whether it opens bundles that hold pickles.
    allow_joblib: bool = False
    #: What the worker holds, in words for people: ``<job> chunk 7``.
    working_on: tuple[str, ...] = ()
    #: The same for programs.
    holdings: tuple[Holding, ...] = ()
    #: By the worker's own clock: for display, never for a decision.
    seen_at: datetime
