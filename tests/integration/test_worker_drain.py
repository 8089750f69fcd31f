"""What a drain finishes, what it gives back, how soon others have it, and what it must not count for."""

from __future__ import annotations

import signal
from datetime import datetime

import pytest
from tests.conftest import eventually
from tests.instance_metadata import played_instance
from tests.integration.worker_fleet import GATE, Fleet

from skfleet_common.contracts.messages import decode
from skfleet_common.contracts.states import JobState
from skfleet_worker.backoff import RENEW_AT_RECEIVE

#: Leases that no test outlives: what comes back comes from a release.
PATIENT = {"lease_seconds": 600, "heartbeat_seconds": 0.5}


def at(entry: dict[str, str]) -> datetime:
    return datetime.fromisoformat(entry["timestamp"])


@pytest.fixture
def uneven(fleet: Fleet) -> str:
    """A view whose first 2,000 rows the gate stops, and whose others take three seconds."""
    fleet.sql(
        "CREATE OR REPLACE VIEW uneven AS SELECT * FROM flights WHERE CASE"
        f" WHEN id <= 2000 THEN pg_advisory_xact_lock_shared({GATE})::text IS NOT NULL"
        " WHEN id = 2001 THEN pg_sleep(3)::text = '' ELSE true END"
    )
    return "uneven"


def test_an_idle_worker_begins_what_a_drain_gave_back_within_a_second(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    leaving = fleet.start_worker(drain_seconds=0, **PATIENT)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        idle = fleet.start_worker(poll_seconds=20, **PATIENT)
        idle.wait_for("scorer.ready")
        assert leaving.stop() == 0
        (begun,) = idle.wait_for("chunk.started")
    # Its own poll may have had the message once more: the first time counts.
    given_back = leaving.said("delivery.released")[0]
    assert (at(begun) - at(given_back)).total_seconds() < 1.0
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.assert_published(job, rows=1_000)


def test_a_chunk_prefetched_but_not_begun_goes_back_at_once(fleet: Fleet) -> None:
    fleet.submit(rows=2_000, table="gated")
    worker = fleet.start_worker(drain_seconds=60, **PATIENT)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        eventually(lambda: fleet.cloud.queue.approximate_depth().in_flight == 2)
        worker.process.send_signal(signal.SIGTERM)
        (released,) = worker.wait_for("delivery.released")
        assert (released["reason"], released["delay_seconds"]) == ("the worker drains", 0)
        depth = fleet.cloud.queue.approximate_depth()
        assert (depth.visible, depth.in_flight) == (1, 1)
    assert worker.process.wait(40) == 0
    assert len(worker.said("chunk.committed")) == 1


def test_a_chunk_that_would_take_longer_than_the_drain_is_given_back_at_once(
    fleet: Fleet, uneven: str
) -> None:
    job = fleet.submit(rows=2_400, chunk_rows=2_000, table=uneven)
    worker = fleet.start_worker(scorers=2, drain_seconds=4, **PATIENT)
    with fleet.gate_shut():
        # 400 rows in three seconds: the other 2,000 take more than ten.
        worker.wait_for("chunk.committed")
        assert worker.stop() == 0
    released = worker.said("delivery.released")[0]
    assert "it needs about" in released["reason"]
    (draining,) = worker.said("worker.draining")
    assert (at(released) - at(draining)).total_seconds() < 2.0
    assert [commit.chunk for commit in fleet.cloud.tracker.commits(job, [0, 1])] == [1]
    assert fleet.cloud.queue.approximate_depth().visible == 1


def test_a_chunk_that_fits_the_drain_is_finished(fleet: Fleet, uneven: str) -> None:
    job = fleet.submit(rows=2_400, chunk_rows=2_000, table=uneven)
    worker = fleet.start_worker(scorers=2, drain_seconds=60, **PATIENT)
    with fleet.gate_shut():
        worker.wait_for("chunk.committed")
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_for("worker.draining")
    assert worker.process.wait(40) == 0
    assert [commit.chunk for commit in fleet.cloud.tracker.commits(job, [0, 1])] == [0, 1]


def test_a_spot_notice_drains_within_the_time_that_it_leaves(fleet: Fleet) -> None:
    fleet.submit(rows=1_000, table="gated")
    with played_instance() as instance, fleet.gate_shut():
        worker = fleet.start_worker(metadata_url=instance.url, drain_seconds=90, **PATIENT)
        fleet.wait_at_gate()
        instance.take_away("2020-01-01T00:00:01Z")
        assert worker.process.wait(40) == 0
    assert [entry["seconds"] for entry in worker.said("worker.interrupted")] == [1.0]
    # The poll under way may have brought it back once more.
    released, *again = worker.said("delivery.released")
    assert released["reason"] == "the drain is over"
    assert {entry["reason"] for entry in again} <= {"the worker drains"}
    assert fleet.cloud.queue.approximate_depth().visible == 1


def test_a_rebalance_recommendation_drains_an_idle_worker(fleet: Fleet) -> None:
    with played_instance() as instance:
        instance.recommend_rebalance()
        worker = fleet.start_worker(metadata_url=instance.url)
        assert worker.process.wait(40) == 0
    assert [entry["why"] for entry in worker.said("worker.interrupted")] == ["a rebalance is recommended"]


@pytest.fixture
def often_drained(fleet: Fleet) -> str:
    """A job whose one message was given back until the queue is about to take it for a dead letter."""
    job = fleet.submit(rows=1_000, table="gated")
    for _ in range(RENEW_AT_RECEIVE - 1):
        (delivery,) = fleet.cloud.queue.receive(limit=1, wait_seconds=5)
        fleet.cloud.queue.release(delivery)
    return job


def test_a_chunk_is_drained_as_often_as_you_like(fleet: Fleet, often_drained: str) -> None:
    with fleet.gate_shut():
        leaving = fleet.start_worker(drain_seconds=0, **PATIENT)
        fleet.wait_at_gate()
        assert leaving.stop() == 0
    assert [entry["reason"] for entry in leaving.said("delivery.replaced")] == ["the drain is over"]
    (renewed,) = fleet.cloud.queue.receive(limit=1, wait_seconds=5)
    # The worker's own poll that was under way may have had it, and given it back.
    assert renewed.receive_count <= 2
    assert decode(renewed.body).failures == 0
    fleet.cloud.queue.release(renewed)
    fleet.start_worker()
    assert fleet.wait(often_drained).state is JobState.SUCCEEDED
    fleet.assert_published(often_drained, rows=1_000)
    fleet.assert_queue_empty()


def test_having_been_drained_is_no_failed_attempt(fleet: Fleet, often_drained: str) -> None:
    worker = fleet.start_worker(max_attempts=2)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        for scorer in worker.scorers():
            scorer.kill()
        # It has been received eight times, and failed once: of two attempts, one is left.
        (begun_again,) = worker.wait_for("chunk.started", count=2)[1:]
    assert begun_again["attempt_number"] == 2
    assert fleet.wait(often_drained).state is JobState.SUCCEEDED
    fleet.assert_published(often_drained, rows=1_000)
