"""Cancel, retry, resume and redrive, with real workers and a real warehouse."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from tests.conftest import eventually
from tests.integration.worker_fleet import GATE, Fleet

from skfleet.cancellation import cancel
from skfleet.progress import Silent
from skfleet.redrive import redrive
from skfleet.resume import resume
from skfleet.retry import retry
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import CommitOutcome
from skfleet_common.contracts.messages import PublishMessage, decode
from skfleet_common.contracts.states import JobState
from skfleet_common.tables import open_warehouse
from skfleet_common.tables.port import Publisher
from skfleet_worker.attempt import carry_out
from skfleet_worker.bench import Workbench
from skfleet_worker.protocol import Assignment, Ending

SILENT = Silent()


@pytest.fixture
def bench(fleet: Fleet) -> Iterator[Workbench]:
    """A scorer's workbench in this process."""
    settings = fleet.settings.model_copy(
        update={"warehouse_url": fleet.server.url, "cache_dir": fleet.folder / "cache"}
    )
    bench = Workbench.set_up(settings, worker=f"test-{os.getpid()}", seat=0, report=lambda _rows: None)
    with closing(bench.cloud):
        yield bench


def publisher_of(fleet: Fleet) -> Callable[[], Publisher]:
    return lambda: open_warehouse(fleet.server.url, statement_seconds=60).publisher


def test_a_chunk_that_failed_is_scored_by_a_retry_and_the_others_are_not_scored_again(fleet: Fleet) -> None:
    fleet.sql(
        "CREATE OR REPLACE VIEW gated_at_1500 AS SELECT * FROM flights"
        f" WHERE id <> 1500 OR pg_advisory_xact_lock_shared({GATE})::text IS NOT NULL"
    )
    worker = fleet.start_worker(max_attempts=1)
    with fleet.gate_shut():
        job = fleet.submit(rows=2_000, chunk_rows=500, table="gated_at_1500")
        fleet.wait_at_gate()
        (victim,) = worker.scorers()
        victim.kill()
        record = fleet.wait(job)
    assert record.state is JobState.FAILED
    before = {commit.chunk: commit for commit in fleet.cloud.tracker.commits(job, range(4))}
    assert [n for n, commit in before.items() if commit.outcome is CommitOutcome.FAILED] == [2]
    assert retry(fleet.cloud, job, steps=SILENT).sent == 1
    record = fleet.wait(job)
    assert (record.state, record.run, record.rows_scored) == (JobState.SUCCEEDED, 2, 2_000)
    after = {commit.chunk: commit for commit in fleet.cloud.tracker.commits(job, range(4))}
    assert [n for n in after if after[n] != before[n]] == [2]
    fleet.assert_published(job, rows=2_000)
    fleet.assert_queue_empty()


def test_jobs_whose_messages_are_gone_end_once_they_are_sent_again(fleet: Fleet) -> None:
    # No worker is there yet: an idle one reads dead letters too, and gives their chunks up.
    cloud = fleet.cloud
    buried, purged = fleet.submit(rows=1_000, chunk_rows=500), fleet.submit(rows=2_000, chunk_rows=500)
    while deliveries := cloud.queue.receive():
        for delivery in deliveries:
            if decode(delivery.body).job == buried:
                cloud.dead_letters.send([delivery.body])
            cloud.queue.ack(delivery)
    assert redrive(cloud, steps=SILENT).sent == {buried: 2}
    assert resume(cloud, purged, steps=SILENT).sent == 4
    fleet.start_worker()
    for job, rows in ((buried, 1_000), (purged, 2_000)):
        assert fleet.wait(job).state is JobState.SUCCEEDED
        fleet.assert_published(job, rows=rows)
    fleet.assert_queue_empty()


def test_a_cancelled_job_leaves_no_message_and_no_table_and_its_worker_works_on(
    standing_fleet: Fleet,
) -> None:
    fleet, (worker,) = standing_fleet, standing_fleet.workers
    with fleet.gate_shut():
        job = fleet.submit(table="gated")
        fleet.wait_at_gate(2)
        assert cancel(fleet.cloud, job, open_publisher=publisher_of(fleet)).changed
    fleet.assert_queue_empty()
    # The chunks in the middle of which the job was cancelled were committed, without any effect.
    eventually(lambda: len([it for it in worker.said("chunk.committed") if it["job"] == job]) == 2)
    assert fleet.cloud.tracker.job(job).state is JobState.CANCELLED
    assert fleet.sql(f"SELECT to_regclass('{fleet.output_table(job)}')") == [(None,)]
    later = fleet.submit(rows=1_000)
    assert fleet.wait(later).state is JobState.SUCCEEDED


def cancel_late(fleet: Fleet, job: str, go: threading.Barrier, seconds: float) -> JobState:
    """Cancel a job that long after ``go``, and give the end that was told."""
    go.wait()
    threading.Event().wait(seconds)
    try:
        return cancel(fleet.cloud, job, open_publisher=publisher_of(fleet)).state
    except Refused:
        return JobState.SUCCEEDED


def test_a_cancel_and_a_publication_at_once_agree_on_one_end(fleet: Fleet, bench: Workbench) -> None:
    """Each round moves the cancel a little, over all of a publication's length."""
    ends = set()
    for round_ in range(12):
        job = fleet.submit(rows=0)
        go = threading.Barrier(2)
        with ThreadPoolExecutor(1) as terminal:
            told = terminal.submit(cancel_late, fleet, job, go, round_ * 0.012)
            go.wait()
            finished = carry_out(Assignment(PublishMessage(job=job, run=1), receive_count=1), bench)
        assert finished.ending is Ending.ACK
        state = fleet.cloud.tracker.job(job).state
        assert told.result() is state
        ((table,),) = fleet.sql(f"SELECT to_regclass('{fleet.output_table(job)}')")
        assert (table is not None) is (state is JobState.SUCCEEDED)
        ends.add(state)
    assert JobState.SUCCEEDED in ends
    assert len(ends) > 1


def test_a_job_waits_while_another_one_publishes_to_its_table(fleet: Fleet, bench: Workbench) -> None:
    first, second = fleet.submit(rows=0), fleet.submit(rows=0)
    table, tracker = fleet.output_table(second), fleet.cloud.tracker
    tracker.hold_table(table, address=bench.warehouse.address, job=first, run=1)
    message = Assignment(PublishMessage(job=second, run=1), receive_count=bench.settings.max_attempts + 1)
    waits = carry_out(message, bench)
    # However often it has asked, it asks again soon: the other one may end at any moment.
    assert waits.ending is Ending.LATER
    assert 0 < waits.delay_seconds <= 5
    assert tracker.job(second).state is JobState.PUBLISHING
    assert tracker.move(first, JobState.SUCCEEDED, run=1)
    assert carry_out(message, bench).ending is Ending.ACK
    assert tracker.job(second).state is JobState.SUCCEEDED
    # It has given the turn back: nobody's is everybody's.
    assert tracker.hold_table(table, address=bench.warehouse.address, job="third", run=1) == "third"


def test_a_chunk_that_fails_late_does_not_end_a_job_that_is_publishing(
    fleet: Fleet, bench: Workbench
) -> None:
    """A doubled delivery meets a dropped column after the other one has filled the tree."""
    fleet.sql("CREATE TABLE shaky AS SELECT * FROM flights WHERE id <= 100")
    job = fleet.submit(rows=100, chunk_rows=100, table="shaky")
    (delivery,) = fleet.cloud.queue.receive(wait_seconds=2)
    fleet.cloud.queue.ack(delivery)
    try:
        fleet.sql("ALTER TABLE shaky DROP COLUMN miles")
        fleet.cloud.tracker.begin_publishing(job, run=1)
        finished = carry_out(Assignment(decode(delivery.body), receive_count=1), bench)
    finally:
        fleet.sql("DROP TABLE shaky")
    assert finished.ending is Ending.ACK
    assert fleet.cloud.tracker.job(job).state is JobState.PUBLISHING
