"""The tracker's items: what an earlier version wrote is read, and today's are what the fixture says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.samples import CREATED, FAR_AHEAD, new_commit, new_job, new_presence

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import Progress, Tracker
from skfleet_common.aws.tracker_table import LISTING_INDEX, job_key, to_item, worker_key
from skfleet_common.contracts.shapes import NewerShape, UnreadableShape
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.troubles import Trouble


@pytest.fixture(scope="module")
def tracker(module_cloud: Cloud) -> Tracker:
    return module_cloud.tracker


ITEMS = Path(__file__).parent / "fixtures" / "tracker" / "v1.json"


def write_one_of_each(tracker: Tracker) -> None:
    """Write an item of every kind, always the same."""
    record = new_job(job="job-of-version-1", token="token-of-version-1")
    tracker.create_job(record, token=record.token)
    tracker.move(record.job, JobState.RUNNING, run=1)
    tracker.commit(new_commit(record.job, 0, attempt="a0"))
    tracker.commit(new_commit(record.job, 2, attempt="a2", failed=True))
    tracker.climb(record.job, 1, 0, 3, failed=False)
    tracker.climb(record.job, 1, 2, 3, failed=True)
    tracker.put_trouble(
        Trouble(job=record.job, run=1, chunk=1, attempts=2, worker="w", reason="It broke.", at=FAR_AHEAD)
    )
    tracker.claim_copy(record.job, 1, 1, now=FAR_AHEAD)
    tracker.count_renewal(record.job, 1, "message-1", now=FAR_AHEAD)
    tracker.announce(new_presence("worker-of-version-1"), ttl_seconds=60)


def by_key(items: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Give items by their keys, each with its sets in one order."""
    return {
        (item["pk"]["S"], item["sk"]["S"]): {
            name: sorted(value["NS"]) if "NS" in value else value for name, value in item.items()
        }
        for item in items
    }


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
    assert tracker.workers(now=FAR_AHEAD) == [new_presence("worker-of-version-1")]
    assert tracker.climb(record.job, 1, 1, 3, failed=False) is not None


def test_items_written_today_hold_all_that_a_reader_of_version_1_knows(cloud: Cloud) -> None:
    write_one_of_each(cloud.tracker)
    written = by_key(cloud.tracker.client.scan(TableName=cloud.tracker.name)["Items"])
    for key, expected in by_key(json.loads(ITEMS.read_text())).items():
        assert expected.items() <= written[key].items()


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


@pytest.mark.parametrize("damage", [{"v": {"N": "2"}}, {"v": {"S": "?"}}, {"host": None, "model": None}])
def test_an_item_that_this_version_cannot_read_does_not_hide_the_others(
    cloud: Cloud, damage: dict[str, Any]
) -> None:
    tracker = cloud.tracker
    readable, unreadable = new_job(), new_job()
    for record in (readable, unreadable):
        tracker.create_job(record, token=record.token)
    for worker in ("readable", "unreadable"):
        tracker.announce(new_presence(worker), ttl_seconds=60)
    for key in (job_key(unreadable.job), worker_key("unreadable")):
        item = tracker.get(key) or {}
        left = {name: value for name, value in (item | damage).items() if value is not None}
        tracker.client.put_item(TableName=tracker.name, Item=left)
    assert tracker.jobs(10, now=CREATED) == [readable]
    assert tracker.workers(now=FAR_AHEAD) == [new_presence("readable")]
    with pytest.raises((NewerShape, UnreadableShape)):
        tracker.job(unreadable.job)
