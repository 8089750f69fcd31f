"""Commits and workers in the tracker, on a real DynamoDB API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.samples import new_commit, new_job, new_presence
from tests.contract.scripted_endpoint import Answer, scripted_endpoint

from skfleet_common.aws.clients import open_clients
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import Tracker
from skfleet_common.aws.tracker_commits import BLOCK_CHUNKS, MAX_COMMIT_BYTES, item_bytes
from skfleet_common.aws.tracker_table import block_pk, commit_sk, node_key, to_item
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.contracts.jobs import CommitOutcome
from skfleet_common.contracts.tree import Node
from skfleet_common.settings import Settings


@pytest.fixture(scope="module")
def tracker(module_cloud: Cloud) -> Tracker:
    return module_cloud.tracker


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


def test_a_commit_that_is_revoked_has_failed_and_a_later_run_replaces_it(tracker: Tracker) -> None:
    job = new_job().job
    done = tracker.commit(new_commit(job, 0, output_key="out/0", output_sha256="a7" * 32))
    for _ in range(2):
        tracker.revoke(done, reason="Its stored output was deleted.")
    (failed,) = tracker.commits(job, [0])
    assert (failed.outcome, failed.run, failed.output_key) == (CommitOutcome.FAILED, 1, None)
    assert failed.reason == "Its stored output was deleted."
    assert tracker.commit(new_commit(job, 0)) == failed
    again = tracker.commit(new_commit(job, 0, run=2))
    assert again.outcome is CommitOutcome.DONE
    # A terminal that stood still meanwhile revokes nothing that it has not looked at.
    tracker.revoke(done, reason="Its stored output was deleted.")
    assert tracker.commits(job, [0]) == [again]
    tracker.revoke(done.model_copy(update={"chunk": 1}), reason="There never was one.")
    assert tracker.commits(job, [1]) == []


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


def test_workers_are_there_until_they_retire_or_fall_silent(cloud: Cloud) -> None:
    tracker = cloud.tracker
    now = datetime.now(UTC)
    steady, silent = (
        new_presence("steady", seen_at=now),
        new_presence("silent", seen_at=now - timedelta(seconds=90)),
    )
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
        cloud.tracker.announce(new_presence("w", seen_at=now + timedelta(seconds=ahead)), ttl_seconds=60)
    assert cloud.tracker.workers(now=now) == [new_presence("w", seen_at=now + timedelta(seconds=2))]


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


def test_keys_that_dynamodb_left_unread_are_asked_for_again() -> None:
    def node(index: int) -> dict[str, Any]:
        return to_item({"pk": f"job#j#run#1#node#0#{index}", "sk": "node", "done": {0}})

    unread = {"tracker": {"Keys": [node_key("j", 1, Node(0, 1))]}}
    answers = [
        Answer.of_json({"Responses": {"tracker": [node(0)]}, "UnprocessedKeys": unread}),
        Answer.of_json({"Responses": {"tracker": [node(1)]}, "UnprocessedKeys": {}}),
    ]
    with scripted_endpoint(answers) as endpoint:
        client = open_clients(Settings(aws_endpoint_url=endpoint.url)).dynamodb
        with closing(client):
            progress = Tracker(client, "tracker", endpoint.url, fan_in=2).progress("j", 1, 4)
    assert progress.done == {0, 2}
    assert [len(request["RequestItems"]["tracker"]["Keys"]) for request in endpoint.requests] == [2, 1]
