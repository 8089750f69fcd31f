"""Status: what is said of a job that failed, of one whose plan has expired, and of its rejected rows."""

from __future__ import annotations

import pytest
from tests.contract.samples import new_commit
from tests.contract.stored_jobs import put_rejects, store_job

from skfleet.job import find_job
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.states import JobState


@pytest.fixture
def cloud(emptied_cloud: Cloud) -> Cloud:
    """The module's fleet; each test has jobs of its own."""
    return emptied_cloud


def test_rows_of_failed_chunks_are_not_done(cloud: Cloud) -> None:
    job = store_job(cloud, chunks=3).job
    for chunk in (0, 2):
        cloud.tracker.commit(new_commit(job, chunk, failed=chunk == 2))
        cloud.tracker.climb(job, 1, chunk, 3, failed=chunk == 2)
    status = find_job(cloud, job).status()
    # Chunk n has n + 1 rows.
    assert (status.rows_done, status.rows) == (1, 6)
    assert (status.chunks_done, status.chunks_failed) == (1, 1)
    # Of six rows four are over, whatever became of them.
    assert status.eta_seconds == pytest.approx(status.seconds / 2)


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_has_ended_is_shown_though_its_plan_has_expired(cloud: Cloud, state: JobState) -> None:
    job = store_job(cloud, state=state).job
    cloud.store.delete([cloud.names.plan(job)])
    status = find_job(cloud, job).status()
    assert (status.state, status.rows, status.chunks) == (state, 6, 3)
    assert (status.rows_done, status.chunks_done, status.chunks_failed) == (None, None, None)


def test_a_job_that_goes_on_without_its_plan_is_to_be_cancelled(cloud: Cloud) -> None:
    job = store_job(cloud).job
    cloud.store.delete([cloud.names.plan(job)])
    with pytest.raises(Refused, match=f"end it with skfleet cancel {job}"):
        find_job(cloud, job).status()


def test_a_rejected_row_is_listed_once_however_often_its_chunk_was_tried(cloud: Cloud) -> None:
    job = store_job(cloud).job
    assert find_job(cloud, job).rejects().num_rows == 0
    for chunk in (0, 2):
        put_rejects(cloud, job, chunk, "lost")
        key = put_rejects(cloud, job, chunk, "won")
        cloud.tracker.commit(new_commit(job, chunk, rejects_key=key))
    cloud.tracker.commit(new_commit(job, 1))
    assert find_job(cloud, job).rejects().to_pydict() == {
        "id": ["0", "1", "20", "21"],
        "reason": ["odd"] * 4,
        "quarantined": [True, False] * 2,
    }
    cloud.store.delete([key])
    with pytest.raises(Refused, match=r"skfleet gc took them, or .*; submit the job again"):
        find_job(cloud, job).rejects()
