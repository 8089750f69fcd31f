"""What an operator does after a fault: resume a job whose producer died, take up again one that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skfleet.progress import Silent
from skfleet.resume import resume as resume_job
from skfleet.retry import retry
from skfleet_common.contracts.jobs import JobRecord

if TYPE_CHECKING:
    from tests.chaos.trial import Trial


def resume(trial: Trial) -> str:
    """Go on with a job whose producer was killed, or submit it if it was not written down; gives the job."""
    assert trial.request.token is not None
    record = trial.place.fleet.cloud.tracker.job_of_token(trial.request.token)
    if record is None:
        return trial.place.fleet.submit(trial.request).id
    return resume_job(trial.place.fleet.cloud, record.job, steps=Silent()).job


def again(trial: Trial, failed: JobRecord) -> str:
    """Retry a failed job once its cause is mended; gives the job that must succeed now."""
    return retry(trial.place.fleet.cloud, failed.job, steps=Silent()).job
