"""Turns to publish to a table, on a real DynamoDB API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.contract.samples import new_job

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import Tracker
from skfleet_common.aws.tracker_table import turn_key
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.states import JobState

HERE = "127.0.0.1:5432/warehouse"


@pytest.fixture(scope="module")
def tracker(module_cloud: Cloud) -> Tracker:
    return module_cloud.tracker


@pytest.fixture
def table(request: pytest.FixtureRequest) -> TableName:
    """A table of the test's own."""
    return TableName(schema_name="public", name=request.node.name)


def publishing(tracker: Tracker) -> str:
    """Give a new job that is PUBLISHING."""
    record = new_job()
    tracker.create_job(record, token=record.token)
    assert tracker.begin_publishing(record.job, run=1)
    return record.job


def hold(tracker: Tracker, table: TableName, job: str, *, run: int = 1, address: str = HERE) -> str:
    return tracker.hold_table(table, address=address, job=job, run=run)


def test_one_job_has_the_turn_until_it_gives_it_back(tracker: Tracker, table: TableName) -> None:
    first, second = publishing(tracker), publishing(tracker)
    assert hold(tracker, table, first) == first
    assert hold(tracker, table, second) == first
    assert hold(tracker, table, first) == first
    tracker.release_table(table, address=HERE, job=second, run=1)
    assert hold(tracker, table, second) == first
    tracker.release_table(table, address=HERE, job=first, run=1)
    tracker.release_table(table, address=HERE, job=first, run=1)
    assert hold(tracker, table, second) == second


@pytest.mark.parametrize("ended", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_has_ended_loses_its_turn(tracker: Tracker, table: TableName, ended: JobState) -> None:
    dead, next_one = publishing(tracker), publishing(tracker)
    hold(tracker, table, dead)
    assert tracker.move(dead, ended, run=1)
    assert hold(tracker, table, next_one) == next_one
    # Its zombie does not get it back.
    assert hold(tracker, table, dead) == next_one


def test_a_later_run_of_a_job_does_not_keep_the_turn_of_the_run_before(
    tracker: Tracker, table: TableName
) -> None:
    retried, other = publishing(tracker), publishing(tracker)
    hold(tracker, table, retried)
    assert tracker.move(retried, JobState.FAILED, run=1)
    assert tracker.start_run(retried, run=2, run_chunks=1)
    assert tracker.begin_publishing(retried, run=2)
    assert hold(tracker, table, other) == other
    assert hold(tracker, table, retried, run=2) == other
    assert tracker.move(other, JobState.SUCCEEDED, run=1)
    assert hold(tracker, table, retried, run=2) == retried


def test_a_job_that_nobody_knows_any_more_loses_its_turn(tracker: Tracker, table: TableName) -> None:
    job = publishing(tracker)
    assert hold(tracker, table, "long-gone") == "long-gone"
    assert hold(tracker, table, job) == job


@pytest.mark.parametrize("before", [False, True])
def test_of_jobs_that_race_for_a_turn_one_gets_it_and_all_know_which(
    tracker: Tracker, table: TableName, *, before: bool
) -> None:
    if before:
        dead = publishing(tracker)
        hold(tracker, table, dead)
        tracker.move(dead, JobState.FAILED, run=1)
    jobs = [publishing(tracker) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        holders = set(threads.map(lambda job: hold(tracker, table, job), jobs))
    assert len(holders) == 1
    assert holders <= set(jobs)


def test_tables_of_other_names_and_warehouses_have_turns_of_their_own(tracker: Tracker) -> None:
    tables = [
        (HERE, TableName(schema_name="a", name="b")),
        ("elsewhere:5432/warehouse", TableName(schema_name="a", name="b")),
        (HERE, TableName(schema_name='a", "b', name="c")),
        (HERE, TableName(schema_name="a", name='b", "c')),
    ]
    assert len({str(turn_key(*table)) for table in tables}) == len(tables)
    for address, table in tables:
        job = publishing(tracker)
        assert hold(tracker, table, job, address=address) == job
