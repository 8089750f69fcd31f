"""The tracker's jobs, commits and workers on a real DynamoDB API."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import NoSuchJob, Progress, Tracker
from skfleet_common.aws.tracker_commits import BLOCK_CHUNKS, MAX_COMMIT_BYTES, item_bytes
from skfleet_common.aws.tracker_table import LISTING_INDEX, block_pk, commit_sk, job_key, to_item
from skfleet_common.contracts.errors import EnvironmentFault, Refused
from skfleet_common.contracts.jobs import CommitOutcome
from skfleet_common.contracts.shapes import NewerShape
from skfleet_common.contracts.states import LEGAL_MOVES, JobState
from skfleet_common.contracts.workers import WorkerPresence

from tests.contract.samples import CREATED, new_commit, new_job

ITEMS = Path(__file__).parent / "fixtures" / "tracker" / "v1.json"

#: How a new job comes to stand in each state.
WAY_TO: dict[JobState, tuple[JobState, ...]] = {
    JobState.SUBMITTING: (),
    JobState.RUNNING: (JobState.RUNNING,),
    JobState.PUBLISHING: (JobState.PUBLISHING,),
    JobState.SUCCEEDED: (JobState.PUBLISHING, JobState.SUCCEEDED),
    JobState.FAILED: (JobState.FAILED,),
    JobState.CANCELLED: (JobState.CANCELLED,),
}


@pytest.fixture(scope="module")
def tracker(module_cloud: Cloud) -> Tracker:
    return module_cloud.tracker


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


def test_the_first_attempt_to_commit_stands(tracker: Tracker) -> None:
    job = new_job().job
    first = new_commit(job, 0)
    assert tracker.commit(first) == first
    assert tracker.commit(new_commit(job, 0)) == first
    assert tracker.commit(new_commit(job, 0, failed=True)) == first
    assert tracker.commits(job, [0]) == [first]


def test_of_attempts_that_commit_at_once_one_stands_and_all_are_told_which(tracker: Tracker) -> None:
    job = new_job().job
    with ThreadPoolExecutor(8) as threads:
        standing = set(threads.map(lambda _: tracker.commit(new_commit(job, 0)).attempt, range(16)))
    assert standing == {tracker.commits(job, [0])[0].attempt}


def test_a_failed_commit_is_replaced_by_a_later_run_alone(tracker: Tracker) -> None:
    job = new_job().job
    failed = tracker.commit(new_commit(job, 0, failed=True, run=2))
    for run in (1, 2):
        assert tracker.commit(new_commit(job, 0, run=run)) == failed
    done = new_commit(job, 0, run=3)
    assert tracker.commit(done) == done
    for run in (1, 2, 3, 4):
        assert tracker.commit(new_commit(job, 0, run=run)) == done
        assert tracker.commit(new_commit(job, 0, run=run, failed=True)) == done


def test_commits_are_read_in_chunk_order_across_blocks(tracker: Tracker) -> None:
    job = new_job().job
    chunks = [0, 5, BLOCK_CHUNKS - 1, BLOCK_CHUNKS, 3 * BLOCK_CHUNKS + 7]
    for chunk in reversed(chunks):
        tracker.commit(new_commit(job, chunk))
    assert [commit.chunk for commit in tracker.commits(job, range(1_000))] == chunks
    assert [commit.chunk for commit in tracker.commits(job, [5, BLOCK_CHUNKS, 6])] == [5, BLOCK_CHUNKS]
    assert tracker.commits(job, []) == []


@given(reason=st.text(min_size=1, max_size=3_000))
def test_no_reason_makes_a_commit_cost_two_write_units(tracker: Tracker, reason: str) -> None:
    commit = new_commit(
        new_job().job, 7, failed=True, reason=reason, rejects_key="r" * 120, output_sha256="a7" * 32
    )
    standing = tracker.commit(commit)
    assert standing.reason is not None
    assert standing.reason == reason or reason.startswith(standing.reason.removesuffix("…"))
    key = to_item({"pk": block_pk(commit.job, 0), "sk": commit_sk(7)})
    item = tracker.get(key)
    assert item is not None
    assert item_bytes(item) <= MAX_COMMIT_BYTES
    assert tracker.commits(commit.job, [7]) == [standing]


#: DynamoDB deletes what has expired: a worker of a fixture must outlive the tests.
FAR_AHEAD = datetime(2126, 11, 23, 7, 42, tzinfo=UTC)


def presence(worker: str, *, seen_at: datetime = FAR_AHEAD) -> WorkerPresence:
    return WorkerPresence(
        worker=worker,
        host="host-1",
        supervisor_pid=4711,
        scorer_pids=(4712,),
        versions={"scikit-learn": "1.9.0"},
        working_on=("a job chunk 7",),
        seen_at=seen_at,
    )


def test_workers_are_there_until_they_retire_or_fall_silent(cloud: Cloud) -> None:
    tracker = cloud.tracker
    now = datetime.now(UTC)
    steady, silent = presence("steady", seen_at=now), presence("silent", seen_at=now - timedelta(seconds=90))
    tracker.announce(steady, ttl_seconds=60)
    tracker.announce(silent, ttl_seconds=120)
    assert sorted(worker.worker for worker in tracker.workers(now=now)) == ["silent", "steady"]
    assert tracker.workers(now=now + timedelta(seconds=31)) == [steady]
    tracker.retire("steady")
    tracker.retire("steady")
    assert tracker.workers(now=now + timedelta(seconds=31)) == []


def test_a_worker_that_announces_itself_again_is_one_worker(cloud: Cloud) -> None:
    now = datetime.now(UTC)
    for ahead in range(3):
        cloud.tracker.announce(presence("w", seen_at=now + timedelta(seconds=ahead)), ttl_seconds=60)
    assert cloud.tracker.workers(now=now) == [presence("w", seen_at=now + timedelta(seconds=2))]


def test_a_tracker_that_does_not_exist_is_named(module_cloud: Cloud) -> None:
    tracker = Tracker(module_cloud.tracker.client, "no-such-tracker", "here")
    with pytest.raises(EnvironmentFault, match="There is no tracker no-such-tracker at here"):
        tracker.job("job")


def test_no_scan_and_no_more_than_two_writes_a_chunk(cloud: Cloud) -> None:
    calls: list[str] = []
    cloud.tracker.client.meta.events.register(
        "before-call.dynamodb", lambda model, **_: calls.append(model.name)
    )
    record = new_job(chunks=1_000)
    cloud.tracker.create_job(record, token=record.token)
    calls.clear()
    standing = cloud.tracker.commit(new_commit(record.job, 321))
    assert standing.outcome is CommitOutcome.DONE
    assert cloud.tracker.climb(record.job, 1, 321, 1_000, failed=False) is None
    assert calls == ["PutItem", "UpdateItem"]
    calls.clear()
    cloud.tracker.progress(record.job, 1, 1_000)
    assert calls == ["BatchGetItem"]


def write_one_of_each(tracker: Tracker) -> None:
    """Write an item of every kind, always the same."""
    record = new_job(job="job-of-version-1", token="token-of-version-1")
    tracker.create_job(record, token=record.token)
    tracker.move(record.job, JobState.RUNNING, run=1)
    tracker.commit(new_commit(record.job, 0, attempt="a0"))
    tracker.commit(new_commit(record.job, 2, attempt="a2", failed=True))
    tracker.climb(record.job, 1, 0, 3, failed=False)
    tracker.climb(record.job, 1, 2, 3, failed=True)
    tracker.announce(presence("worker-of-version-1"), ttl_seconds=60)


def canonical(item: dict[str, Any]) -> str:
    """Give an item as text that is the same whatever the order of its attributes and set members."""
    return json.dumps(
        {name: sorted(value["NS"]) if "NS" in value else value for name, value in item.items()},
        sort_keys=True,
    )


def test_items_that_version_1_wrote_are_read(cloud: Cloud) -> None:
    tracker = cloud.tracker
    for item in json.loads(ITEMS.read_text()):
        tracker.client.put_item(TableName=tracker.name, Item=item)
    record = tracker.job("job-of-version-1")
    assert record.state is JobState.RUNNING
    assert tracker.jobs(1, now=CREATED) == [record]
    assert tracker.create_job(new_job(), token="token-of-version-1") == record
    assert tracker.commits(record.job, range(3)) == [
        new_commit(record.job, 0, attempt="a0"),
        new_commit(record.job, 2, attempt="a2", failed=True),
    ]
    assert tracker.progress(record.job, 1, 3) == Progress(frozenset({0, 2}), frozenset({2}))
    assert tracker.workers(now=FAR_AHEAD) == [presence("worker-of-version-1")]
    assert tracker.climb(record.job, 1, 1, 3, failed=False) is not None


def test_items_written_today_are_those_of_version_1(cloud: Cloud) -> None:
    write_one_of_each(cloud.tracker)
    written = cloud.tracker.client.scan(TableName=cloud.tracker.name)["Items"]
    expected = json.loads(ITEMS.read_text())
    assert sorted(map(canonical, written)) == sorted(map(canonical, expected))


def test_every_item_carries_its_version(cloud: Cloud) -> None:
    write_one_of_each(cloud.tracker)
    written = cloud.tracker.client.scan(TableName=cloud.tracker.name)["Items"]
    assert [item["pk"] for item in written if item.get("v") != {"N": "1"}] == []


def test_an_item_of_a_newer_version_is_refused_by_name(tracker: Tracker) -> None:
    record = new_job()
    tracker.create_job(record, token=record.token)
    tracker.client.update_item(
        TableName=tracker.name,
        Key=job_key(record.job),
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues=to_item({":v": 2}),
    )
    with pytest.raises(NewerShape, match="JobRecord has schema version 2"):
        tracker.job(record.job)


def test_the_index_shows_jobs_and_workers_alone(cloud: Cloud) -> None:
    write_one_of_each(cloud.tracker)
    listed = cloud.tracker.client.scan(TableName=cloud.tracker.name, IndexName=LISTING_INDEX)["Items"]
    assert {item["pk"]["S"].split("#")[0] for item in listed} == {"job", "worker"}
    assert len(listed) == 2
