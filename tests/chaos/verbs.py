"""What an operator does after a fault: resume a job whose producer died, take up again one that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skfleet_common.contracts.jobs import JobRecord

if TYPE_CHECKING:
    from tests.chaos.trial import Trial


def resume(trial: Trial) -> str:
    """Go on with a job whose producer was killed; gives the job."""
    return trial.place.fleet.submit(trial.request).id


def again(trial: Trial, _failed: JobRecord) -> str:
    """Take up a failed job once its cause is mended; gives the job that must succeed now."""
    return trial.submit_anew()
