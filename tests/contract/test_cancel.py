"""Cancel: one write ends a job, but never one that has published."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pyarrow as pa
import pytest
from tests.contract.samples import new_job
from tests.contract.stored_jobs import store_job
from tests.contract.warehouse_place import Place

from skfleet import cancellation
from skfleet.cancellation import cancel
from skfleet.job import Job
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused, TryAgain, UsageError
from skfleet_common.contracts.jobs import IfExists, JobRecord, OutputColumn
from skfleet_common.contracts.states import JobState
from skfleet_common.retry import cloud_calls
from skfleet_common.tables.port import Publication, Publisher
from skfleet_common.tables.postgres import connect


@pytest.fixture
def cloud(emptied_cloud: Cloud) -> Cloud:
    """The module's fleet; each test has jobs of its own."""
    return emptied_cloud


def nobody() -> Publisher:
    """The publisher of a job that needs none."""
    raise AssertionError("the warehouse has no say in this")


def publisher_of(place: Place) -> Callable[[], Publisher]:
    return lambda: place.warehouse.publisher


def publishing_job(cloud: Cloud, place: Place) -> JobRecord:
    """Give a job that is PUBLISHING to the test's own schema."""
    record = new_job(chunks=0, rows=0, output_table=TableName(schema_name=place.schema, name="scores"))
    cloud.tracker.create_job(record, token=record.token)
    assert cloud.tracker.begin_publishing(record.job, run=1)
    return record


def publish(record: JobRecord, place: Place) -> bool:
    """Do what a worker does with the output of a job of one row."""
    publication = Publication(
        job=record.job,
        run=record.run,
        table=record.output_table,
        columns=(OutputColumn(name="id", warehouse_type="bigint", source="id"),),
        if_exists=IfExists.FAIL,
        rows=1,
        id_columns=("id",),
    )
    return bool(place.publisher.publish(publication, [pa.RecordBatch.from_pydict({"id": pa.array(["1"])})]))


@pytest.mark.parametrize("state", [JobState.SUBMITTING, JobState.RUNNING])
def test_a_job_that_has_not_published_is_cancelled_without_the_warehouse(
    cloud: Cloud, state: JobState
) -> None:
    job = store_job(cloud, state=state).job
    effect = cancel(cloud, job, open_publisher=nobody)
    assert (effect.changed, effect.state) == (True, JobState.CANCELLED)
    record = cloud.tracker.job(job)
    assert (record.state, record.reason) == (JobState.CANCELLED, "Cancelled by skfleet cancel.")
    assert record.finished_at is not None
    assert not cloud.tracker.begin_publishing(job, run=1)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_ended_without_output_stays_as_it_is(cloud: Cloud, state: JobState) -> None:
    before = store_job(cloud, state=state)
    effect = cancel(cloud, before.job, open_publisher=nobody)
    assert (effect.changed, effect.state) == (False, state)
    assert f"{state} already" in effect.sentence
    assert cloud.tracker.job(before.job) == before


def test_a_job_that_succeeded_is_refused(cloud: Cloud) -> None:
    job = store_job(cloud, state=JobState.SUCCEEDED).job
    with pytest.raises(Refused, match="has succeeded"):
        cancel(cloud, job, open_publisher=nobody)


def test_a_job_that_is_publishing_is_cancelled_and_never_publishes(cloud: Cloud, place: Place) -> None:
    record = publishing_job(cloud, place)
    assert cancel(cloud, record.job, open_publisher=publisher_of(place)).changed
    assert cloud.tracker.job(record.job).state is JobState.CANCELLED
    with pytest.raises(JobFailed, match="given up"):
        publish(record, place)
    assert "scores" not in place.tables()


def test_a_job_that_has_published_and_not_said_so_yet_is_left_to_succeed(cloud: Cloud, place: Place) -> None:
    record = publishing_job(cloud, place)
    assert publish(record, place)
    with pytest.raises(Refused, match=r"has published .* so it succeeds"):
        cancel(cloud, record.job, open_publisher=publisher_of(place))
    assert cloud.tracker.job(record.job).state is JobState.PUBLISHING


def test_a_cancel_that_died_half_way_leaves_a_job_that_says_what_is_next(cloud: Cloud, place: Place) -> None:
    """It told the ledger, and died before it told the tracker."""
    record = publishing_job(cloud, place)
    assert place.warehouse.publisher.abandon(record.output_table, job=record.job, run=1)
    with pytest.raises(JobFailed, match=f"nothing was published.* skfleet retry {record.job}$"):
        publish(record, place)
    cloud.tracker.move(record.job, JobState.FAILED, run=1, reason="As the worker says.")
    effect = cancel(cloud, record.job, open_publisher=nobody)
    assert not effect.changed
    assert "stays so unless somebody retries it" in effect.sentence
    assert publish(record.model_copy(update={"run": 2}), place)


def test_a_job_whose_ledger_cannot_be_asked_stays_as_it_is(
    cloud: Cloud, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LOCK_SECONDS", 1)
    monkeypatch.setattr(cancellation, "warehouse_calls", lambda: cloud_calls().copy(stop=lambda _: True))
    record = publishing_job(cloud, place)
    with closing(psycopg2.connect(place.server.url)) as swap, swap.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtext('skfleet'), hashtext(%s))", (str(record.output_table),)
        )
        with pytest.raises(TryAgain, match="lock"):
            cancel(cloud, record.job, open_publisher=publisher_of(place))
    assert cloud.tracker.job(record.job).state is JobState.PUBLISHING


def test_a_job_that_begins_to_publish_while_it_is_cancelled_is_asked_about(
    cloud: Cloud, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look says RUNNING; before the write the last chunk is done and the output published."""
    record = new_job(chunks=0, rows=0, output_table=TableName(schema_name=place.schema, name="scores"))
    cloud.tracker.create_job(record, token=record.token)
    look, looked = type(cloud.tracker).job, []

    def slow_look(tracker: object, job: str) -> JobRecord:
        seen = look(cloud.tracker, job)
        if not looked:
            looked.append(seen.state)
            cloud.tracker.begin_publishing(job, run=1)
            publish(record, place)
        return seen

    monkeypatch.setattr(type(cloud.tracker), "job", slow_look)
    with pytest.raises(Refused, match="so it succeeds"):
        cancel(cloud, record.job, open_publisher=publisher_of(place))
    assert looked == [JobState.SUBMITTING]


def test_cancels_from_several_terminals_at_once_agree(cloud: Cloud, place: Place) -> None:
    record = publishing_job(cloud, place)
    with ThreadPoolExecutor(4) as threads:
        effects = list(
            threads.map(lambda _: cancel(cloud, record.job, open_publisher=publisher_of(place)), range(4))
        )
    assert {effect.state for effect in effects} == {JobState.CANCELLED}
    assert sum(effect.changed for effect in effects) == 1


def test_a_job_without_a_warehouse_says_where_to_get_one(cloud: Cloud) -> None:
    with pytest.raises(UsageError, match="get it from a fleet"):
        Job(store_job(cloud), cloud).cancel()
