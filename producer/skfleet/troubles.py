"""Troubles as a user sees them: what went wrong last with each chunk that is not committed yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from skfleet_common.aws.tracker import Tracker
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState

#: Troubles that ``status`` lists.
SHOWN = 20


class ChunkTrouble(BaseModel):
    """Why a chunk was tried again; without a chunk it is the publication, or a message nobody can read."""

    model_config = ConfigDict(frozen=True)

    chunk: int | None
    attempts: int
    worker: str
    reason: str
    at: datetime


def list_troubles(
    tracker: Tracker, record: JobRecord, missing: Callable[[], Sequence[int]]
) -> tuple[ChunkTrouble, ...]:
    """Give the troubles of a job's present run; ``missing`` gives the chunks without a commit."""
    told = [] if record.state is JobState.SUCCEEDED else tracker.troubles(record.job, record.run)
    current = {None, *missing()} if told else {None}
    return tuple(
        ChunkTrouble(
            chunk=trouble.chunk,
            attempts=trouble.attempts,
            worker=trouble.worker,
            reason=trouble.reason,
            at=trouble.at,
        )
        for trouble in told
        if trouble.chunk in current
    )[:SHOWN]
