"""Workers: what each announces of itself, so that people and preflights know the fleet."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from skfleet_common.contracts.shapes import StoredShape


class WorkerPresence(StoredShape):
    """One worker as it last announced itself. Written with its heartbeats, never once a chunk."""

    worker: str
    host: str
    supervisor_pid: int
    scorer_pids: tuple[int, ...] = ()
    #: Library name to exact version, as the preflight compares them with a bundle's.
    versions: dict[str, str] = Field(default_factory=dict)
    #: What the worker holds, in words for people: ``<job> chunk 7``.
    working_on: tuple[str, ...] = ()
    #: By the worker's own clock: for display, never for a decision.
    seen_at: datetime
