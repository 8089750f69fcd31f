"""Effects: what a command did to a job, for people and for programs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from skfleet_common.aws.session import Cloud
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


def sent_effect(cloud: Cloud, job: str, *, run: int, sent: int, sentence: str) -> Effect:
    """Give what a command says that has sent messages of a run; the job may have ended while it sent them."""
    record = cloud.tracker.job(job)
    if record.run != run:
        sentence = f"Job {job} went on to run {record.run} meanwhile; what was sent for run {run} is moot."
    elif record.state.is_terminal:
        sentence = f"Job {job} is {record.state} meanwhile; whatever was sent after that is moot."
    return Effect(job=job, state=record.state, run=record.run, changed=True, sent=sent, sentence=sentence)
