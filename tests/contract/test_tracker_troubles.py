"""Troubles and copies in the tracker, on a real DynamoDB API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contract.samples import CREATED, FAR_AHEAD, new_job

from skfleet_common.aws.run_messages import RunMessages
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import Tracker
from skfleet_common.aws.tracker_table import TTL_ATTRIBUTE, to_item
from skfleet_common.contracts.chunks import Chunk, ChunkPlan, IdRange
from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.contracts.runs import RunPlan
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.troubles import Trouble


@pytest.fixture(scope="module")
def tracker(module_cloud: Cloud) -> Tracker:
    return module_cloud.tracker


def trouble(job: str, chunk: int | None, **given: Any) -> Trouble:
    facts = {"run": 1, "attempts": 1, "worker": "w", "reason": "It broke.", "at": FAR_AHEAD} | given
    return Trouble(job=job, chunk=chunk, **facts)


def test_the_last_trouble_of_each_chunk_is_listed_in_chunk_order(tracker: Tracker) -> None:
    job = new_job().job
    for chunk, attempts in ((10, 1), (9, 1), (10, 2), (None, 1)):
        tracker.put_trouble(trouble(job, chunk, attempts=attempts))
    tracker.put_trouble(trouble(job, None, attempts=3), is_publish=False)
    tracker.put_trouble(trouble(job, 8, run=2))
    told = [(found.chunk, found.attempts) for found in tracker.troubles(job, 1)]
    assert told == [(9, 1), (10, 2), (None, 3), (None, 1)]
    assert tracker.trouble(job, 1, 10) == trouble(job, 10, attempts=2)
    assert tracker.trouble(job, 1, 11) is None


def test_copies_and_renewals_are_no_troubles(tracker: Tracker) -> None:
    job = new_job().job
    assert tracker.claim_copy(job, 1, 3)
    assert tracker.count_renewal(job, 1, "m") == 1
    assert tracker.troubles(job, 1) == []


def test_a_trouble_is_forgotten_when_no_message_of_its_time_can_live(tracker: Tracker) -> None:
    job = new_job().job
    at = datetime.now(UTC)
    tracker.put_trouble(trouble(job, 1, at=at))
    item = tracker.get(to_item({"pk": f"job#{job}#run#1#troubles", "sk": "chunk#0000001"})) or {}
    assert item[TTL_ATTRIBUTE] == {"N": str(int((at + timedelta(days=14)).timestamp()))}


def test_of_all_who_would_copy_a_chunk_of_a_run_one_may(tracker: Tracker) -> None:
    job = new_job().job
    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(lambda _: tracker.claim_copy(job, 1, 7), range(16)))
    assert sorted(claims) == [False] * 15 + [True]
    assert tracker.claim_copy(job, 1, 8)
    assert tracker.claim_copy(job, 2, 7)


def test_a_dead_letter_counts_once_however_often_it_is_read(tracker: Tracker) -> None:
    job = new_job().job
    read = ["first", "first", "second", "first", "third"]
    assert [tracker.count_renewal(job, 1, message) for message in read] == [1, 1, 2, 2, 3]
    assert tracker.count_renewal(job, 2, "first") == 1


def test_progress_says_when_the_last_commit_was(tracker: Tracker) -> None:
    job = new_job().job
    before = datetime.now(UTC)
    assert tracker.progress(job, 1, 500).last_at is None
    for position in (499, 0):
        tracker.climb(job, 1, position, 500, failed=False)
    last_at = tracker.progress(job, 1, 500).last_at
    assert last_at is not None
    assert before <= last_at <= datetime.now(UTC)
    tracker.climb(job, 1, 250, 500, failed=True)
    later = tracker.progress(job, 1, 500).last_at
    assert later is not None
    assert later > last_at


def planned(number: int) -> Chunk:
    return Chunk(number=number, range=IdRange(first=str(number), stop=str(number + 1)), rows=1)


def test_a_message_is_made_anew_as_its_run_planned_it(module_cloud: Cloud) -> None:
    tracker, store, names = module_cloud.tracker, module_cloud.store, module_cloud.names
    record = new_job(chunks=4)
    store.put(names.plan(record.job), ChunkPlan(chunks=tuple(map(planned, range(4)))).to_json())
    tracker.create_job(record, token=record.token)
    first = RunMessages(module_cloud, record)
    assert first.numbers == (0, 1, 2, 3)
    assert first.of(2) == ChunkMessage(job=record.job, run=1, position=2, run_chunks=4, chunk=planned(2))
    assert first.of(4) is None
    assert tracker.move(record.job, JobState.FAILED, run=1)
    store.put(names.run_plan(record.job, 2), RunPlan(job=record.job, run=2, chunks=(1, 3)).to_json())
    assert tracker.start_run(record.job, run=2, run_chunks=2)
    retried = tracker.job(record.job)
    assert retried.run_started_at is not None
    assert retried.run_started_at > CREATED
    second = RunMessages(module_cloud, retried)
    assert second.of(3) == ChunkMessage(job=record.job, run=2, position=1, run_chunks=2, chunk=planned(3))
    assert second.of(2) is None
