"""Jobs in the tracker, on a real DynamoDB API."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace as changed
from datetime import UTC, datetime
from itertools import product

import pytest
from tests.contract.samples import CREATED, new_commit, new_job

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import NoSuchJob, Tracker
from skfleet_common.aws.tracker_table import DAY_SECONDS, job_key
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.states import LEGAL_MOVES, JobState


@pytest.fixture(scope="module")
def tracker(module_cloud: Cloud) -> Tracker:
    return module_cloud.tracker


#: How a new job comes to stand in each state.
WAY_TO: dict[JobState, tuple[JobState, ...]] = {
    JobState.SUBMITTING: (),
    JobState.RUNNING: (JobState.RUNNING,),
    JobState.PUBLISHING: (JobState.PUBLISHING,),
    JobState.SUCCEEDED: (JobState.PUBLISHING, JobState.SUCCEEDED),
    JobState.FAILED: (JobState.FAILED,),
    JobState.CANCELLED: (JobState.CANCELLED,),
}


def stand_at(tracker: Tracker, state: JobState) -> str:
    """Give a new job that stands at ``state``."""
    record = new_job()
    tracker.create_job(record, token=record.token)
    for step in WAY_TO[state]:
        assert tracker.move(record.job, step, run=1)
    return record.job


def test_a_created_job_is_read_as_it_was_written(tracker: Tracker) -> None:
    record = new_job(reason="none yet", rows_scored=0, finished_at=CREATED)
    assert tracker.create_job(record, token=record.token) == record
    assert tracker.job(record.job) == record


def test_a_job_that_does_not_exist_is_named(tracker: Tracker) -> None:
    with pytest.raises(NoSuchJob, match="no job nothing"):
        tracker.job("nothing")
    with pytest.raises(NoSuchJob, match="no job nothing"):
        tracker.move("nothing", JobState.RUNNING, run=1)
    with pytest.raises(NoSuchJob, match="no job nothing"):
        tracker.start_run("nothing", run=2, run_chunks=1)


@pytest.mark.parametrize("explicit", [True, False])
def test_the_same_token_is_the_same_job_while_it_goes_on(tracker: Tracker, *, explicit: bool) -> None:
    record = new_job()
    tracker.create_job(record, token=record.token, explicit=explicit)
    again = tracker.create_job(new_job(), token=record.token, explicit=explicit)
    assert again == record


@pytest.mark.parametrize("ended", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_a_derived_token_passes_on_when_its_job_has_ended_and_an_explicit_one_never(
    tracker: Tracker, ended: JobState
) -> None:
    earlier = stand_at(tracker, ended)
    token = tracker.job(earlier).token
    assert tracker.create_job(new_job(), token=token, explicit=True).job == earlier
    later = new_job()
    assert tracker.create_job(later, token=token) == later
    assert tracker.create_job(new_job(), token=token) == later
    assert tracker.create_job(new_job(), token=token, explicit=True) == later


def test_a_token_leads_to_its_job_in_whatever_state(tracker: Tracker) -> None:
    job = stand_at(tracker, JobState.FAILED)
    found = tracker.job_of_token(f"token of {job}")
    assert found is not None
    assert (found.job, found.state) == (job, JobState.FAILED)
    assert tracker.job_of_token("nobody's") is None


def test_a_token_whose_job_was_deleted_passes_on(tracker: Tracker) -> None:
    record = new_job()
    tracker.create_job(record, token=record.token)
    tracker.client.delete_item(TableName=tracker.name, Key=job_key(record.job))
    assert tracker.job_of_token(record.token) is None
    later = new_job()
    assert tracker.create_job(later, token=record.token, explicit=True) == later


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("before", [None, JobState.FAILED])
def test_of_producers_that_race_with_one_token_one_creates_and_all_get_its_job(
    tracker: Tracker, before: JobState | None, *, explicit: bool
) -> None:
    token = new_job().token
    if before is not None and not explicit:
        token = tracker.job(stand_at(tracker, before)).token
    records = [new_job() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        given_jobs = set(
            threads.map(
                lambda record: tracker.create_job(record, token=token, explicit=explicit).job, records
            )
        )
    assert len(given_jobs) == 1
    created = [record.job for record in records if tracker.get(job_key(record.job)) is not None]
    assert set(created) == given_jobs


def test_a_job_id_is_never_taken_over(tracker: Tracker) -> None:
    record = new_job()
    tracker.create_job(record, token=record.token)
    with pytest.raises(Refused, match=record.job):
        tracker.create_job(record, token="another token")
    assert tracker.job(record.job) == record


@pytest.mark.parametrize(("at", "to"), list(product(JobState, JobState)))
def test_a_job_moves_along_the_legal_moves_alone(tracker: Tracker, at: JobState, to: JobState) -> None:
    job = stand_at(tracker, at)
    moved = tracker.move(job, to, run=1)
    # FAILED is left by a new run alone.
    assert moved is (to in LEGAL_MOVES[at] and not at.is_terminal)
    assert tracker.job(job).state is (to if moved else at)


def test_a_move_for_another_run_does_nothing(tracker: Tracker) -> None:
    job = stand_at(tracker, JobState.RUNNING)
    assert not tracker.move(job, JobState.FAILED, run=2)
    assert tracker.job(job).state is JobState.RUNNING


def test_a_move_writes_what_is_known_then_and_keeps_the_rest(tracker: Tracker) -> None:
    job = stand_at(tracker, JobState.PUBLISHING)
    before = tracker.job(job)
    assert tracker.move(job, JobState.SUCCEEDED, run=1, rows_scored=29, rows_rejected=1, finished_at=CREATED)
    assert tracker.job(job) == before.model_copy(
        update={
            "state": JobState.SUCCEEDED,
            "rows_scored": 29,
            "rows_rejected": 1,
            "finished_at": CREATED,
        }
    )


def test_publishing_is_due_again_while_it_goes_on_and_only_for_its_run(tracker: Tracker) -> None:
    job = stand_at(tracker, JobState.RUNNING)
    assert not tracker.begin_publishing(job, run=2)
    assert tracker.begin_publishing(job, run=1)
    assert tracker.begin_publishing(job, run=1)
    assert not tracker.begin_publishing(job, run=2)
    tracker.move(job, JobState.SUCCEEDED, run=1)
    assert not tracker.begin_publishing(job, run=1)


@pytest.mark.parametrize("ended", [JobState.FAILED, JobState.CANCELLED])
def test_publishing_is_not_due_for_a_job_that_ended(tracker: Tracker, ended: JobState) -> None:
    assert not tracker.begin_publishing(stand_at(tracker, ended), run=1)


def test_a_new_run_begins_once_and_only_after_a_failure(tracker: Tracker) -> None:
    job = stand_at(tracker, JobState.RUNNING)
    assert not tracker.start_run(job, run=2, run_chunks=1)
    tracker.move(job, JobState.FAILED, run=1, reason="A chunk failed.", finished_at=CREATED)
    assert not tracker.start_run(job, run=3, run_chunks=1)
    with ThreadPoolExecutor(4) as threads:
        begun = list(threads.map(lambda _: tracker.start_run(job, run=2, run_chunks=1), range(4)))
    assert sum(begun) == 1
    record = tracker.job(job)
    assert (record.state, record.run, record.run_chunks) == (JobState.RUNNING, 2, 1)
    assert (record.reason, record.finished_at, record.chunks) == (None, None, 3)


def test_a_move_may_be_kept_to_fewer_states_than_the_legal_ones(tracker: Tracker) -> None:
    job = stand_at(tracker, JobState.PUBLISHING)
    assert not tracker.move(job, JobState.CANCELLED, run=1, only_from={JobState.RUNNING})
    assert tracker.job(job).state is JobState.PUBLISHING
    assert tracker.move(job, JobState.CANCELLED, run=1, only_from={JobState.PUBLISHING})
    # What may not be left at all is not left because it is named.
    assert not tracker.move(job, JobState.RUNNING, run=1, only_from={JobState.CANCELLED, JobState.RUNNING})


def test_a_job_is_collected_once_it_has_failed_and_never_retried_after_that(tracker: Tracker) -> None:
    for state in set(JobState) - {JobState.FAILED}:
        assert not tracker.collect(stand_at(tracker, state), run=1, at=CREATED)
    job = stand_at(tracker, JobState.FAILED)
    assert not tracker.collect(job, run=2, at=CREATED)
    assert tracker.collect(job, run=1, at=CREATED)
    assert tracker.collect(job, run=1, at=datetime.now(UTC))
    assert tracker.job(job).collected_at == CREATED
    assert not tracker.start_run(job, run=2, run_chunks=1)
    assert not tracker.collect("nothing", run=1, at=CREATED)


@pytest.mark.parametrize("_", range(5))
def test_of_a_retry_and_a_clean_up_at_once_one_wins(tracker: Tracker, _: int) -> None:
    job = stand_at(tracker, JobState.FAILED)
    with ThreadPoolExecutor(2) as threads:
        retried = threads.submit(tracker.start_run, job, run=2, run_chunks=1)
        collected = threads.submit(tracker.collect, job, run=1, at=CREATED)
    assert retried.result() is not collected.result()


def test_all_that_a_job_writes_expires_and_later_writes_put_that_off(cloud: Cloud) -> None:
    days = [0.0]
    tracker = changed(cloud.tracker, retention_days=20, clock=lambda: time.time() + days[0] * DAY_SECONDS)

    def expiries() -> dict[str, float]:
        items = tracker.client.scan(TableName=tracker.name)["Items"]
        return {item["pk"]["S"]: (int(item["expires_at"]["N"]) - time.time()) / DAY_SECONDS for item in items}

    record = new_job()
    tracker.create_job(record, token=record.token)
    tracker.commit(new_commit(record.job, 0))
    tracker.climb(record.job, 1, 0, 1, failed=False)
    tracker.hold_table(record.output_table, address="here", job=record.job, run=1)
    assert len(expiries()) == 5
    assert all(19.9 < left <= 20 for left in expiries().values())
    days[0] = 5.0
    tracker.move(record.job, JobState.FAILED, run=1)
    tracker.climb(record.job, 1, 0, 1, failed=False)
    late = {pk.split("#")[0] + pk[-4:] for pk, left in expiries().items() if left > 24.9}
    assert late == {"job" + record.job[-4:], "job#0#0"}
    days[0] = 8.0
    tracker.start_run(record.job, run=2, run_chunks=1)
    assert max(expiries().values()) > 27.9


def test_live_jobs_that_write_to_a_table_are_found(cloud: Cloud) -> None:
    now = datetime(2026, 12, 2, tzinfo=UTC)
    table = TableName(schema_name="public", name="scores")
    this, last = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    live = [new_job(created_at=created, output_table=table) for created in (this, last)]
    ended = new_job(created_at=this, output_table=table)
    elsewhere = new_job(created_at=this, output_table=TableName(schema_name="other", name="scores"))
    for record in (*live, ended, elsewhere):
        cloud.tracker.create_job(record, token=record.token)
    cloud.tracker.move(ended.job, JobState.FAILED, run=1)
    assert cloud.tracker.live_jobs_writing_to(table, now=now) == live


def test_jobs_are_listed_newest_first_across_months(cloud: Cloud) -> None:
    months = [0, 1, 2, 14, 23]
    records = [
        new_job(created_at=datetime(2026 - back // 12, 12 - back % 12, 3, tzinfo=UTC)) for back in months
    ]
    for record in records:
        cloud.tracker.create_job(record, token=record.token)
    now = datetime(2026, 12, 20, tzinfo=UTC)
    assert cloud.tracker.jobs(10, now=now) == records
    assert cloud.tracker.jobs(2, now=now) == records[:2]


def test_a_job_from_a_host_whose_clock_is_ahead_is_listed(cloud: Cloud) -> None:
    record = new_job(created_at=datetime(2027, 1, 1, 0, 0, 30, tzinfo=UTC))
    cloud.tracker.create_job(record, token=record.token)
    assert cloud.tracker.jobs(10, now=datetime(2026, 12, 31, 23, 59, 50, tzinfo=UTC)) == [record]
