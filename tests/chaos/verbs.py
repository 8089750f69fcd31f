"""What people do after a fault: the same again, resume a job whose producer died, take up one that ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from skfleet.progress import Silent
from skfleet.resume import resume as resume_job
from skfleet.retry import retry
from skfleet_common.contracts.errors import TryAgain
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState

if TYPE_CHECKING:
    from tests.chaos.trial import Trial

T = TypeVar("T")

#: How often somebody follows the advice to try again; every burst of faults is over by then.
TRIES = 5


def insist(trial: Trial, command: Callable[[], T]) -> T:
    """Give a command again that says ``try again``, as a person does.

    Raises:
        TryAgain: it has said so too often.
    """
    for _ in range(TRIES - 1):
        try:
            return command()
        except TryAgain as exc:
            trial.say(f"told to try again: {exc}")
    return command()


def resume(trial: Trial) -> str:
    """Go on with a job whose producer was killed, or submit it if it was not written down; gives the job."""
    assert trial.request.token is not None
    record = trial.place.fleet.cloud.tracker.job_of_token(trial.request.token)
    if record is None:
        # As planned before: the gate is shut, and a new plan would wait at it.
        return trial.send(trial.request)
    return resume_job(trial.place.fleet.cloud, record.job, steps=Silent()).job


def again(trial: Trial, ended: JobRecord) -> str:
    """Take up a job that failed, or submit anew what was cancelled; gives the job."""
    if ended.state is JobState.FAILED:
        trial.say("retrying")
        return retry(trial.place.fleet.cloud, ended.job, steps=Silent()).job
    trial.say("submitting it anew")
    trial.seen.clear()
    trial.request = replace(trial.request, token=f"{trial.name}-anew")
    trial.prepared = trial.place.fleet.plan(trial.request)
    return trial.send(trial.request)
