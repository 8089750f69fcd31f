"""Effects: what a command did to a job, for people and for programs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState


class Effect(BaseModel):
    """Where a job stands after a command, and whether the command had to do anything for it."""

    model_config = ConfigDict(frozen=True)

    job: str
    state: JobState
    run: int
    #: Whether this call changed the job or sent anything for it.
    changed: bool
    #: Messages sent to the queue.
    sent: int = 0
    sentence: str


def no_effect(record: JobRecord, sentence: str) -> Effect:
    """Give what a command says that had nothing to do."""
    return Effect(job=record.job, state=record.state, run=record.run, changed=False, sentence=sentence)
