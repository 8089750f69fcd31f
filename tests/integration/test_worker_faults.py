"""What becomes of a job when its workers are stopped, killed or stuck."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest
from tests.conftest import eventually
from tests.integration.worker_fleet import Fleet

from skfleet_common.contracts.states import JobState
from skfleet_worker.clock import host_seconds
from skfleet_worker.lease import LeaseKeeper
from skfleet_worker.mail import Mail

ENDED = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() in ENDED
    except psutil.NoSuchProcess:
        return True


def test_sigterm_finishes_the_chunk_in_progress_and_takes_no_other(fleet: Fleet) -> None:
    job = fleet.submit(table="gated")
    worker = fleet.start_worker()
    with fleet.gate_shut():
        fleet.wait_at_gate()
        worker.process.send_signal(signal.SIGTERM)
        eventually(lambda: worker.said("delivery.released"))
    assert worker.process.wait(40) == 0
    assert len(fleet.cloud.tracker.commits(job, range(4))) == 1
    assert len(worker.said("chunk.started")) == 1
    depth = fleet.cloud.queue.approximate_depth()
    assert (depth.visible, depth.in_flight) == (3, 0)


def test_a_drain_that_runs_out_releases_the_chunk_at_once(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    patient = {"lease_seconds": 600, "heartbeat_seconds": 1}
    worker = fleet.start_worker(drain_seconds=0.3, **patient)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        assert worker.stop() == 0
    fleet.start_worker(**patient)
    # Far sooner than the lease of ten minutes would let it.
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.assert_published(job, rows=1_000)


def test_a_second_signal_waits_for_nothing(fleet: Fleet) -> None:
    fleet.submit(rows=1_000, table="gated")
    worker = fleet.start_worker()
    with fleet.gate_shut():
        fleet.wait_at_gate()
        worker.process.send_signal(signal.SIGINT)
        worker.wait_for("worker.draining")
        began = time.monotonic()
        worker.process.send_signal(signal.SIGINT)
        assert worker.process.wait(20) == 0
        assert time.monotonic() - began < 10


def test_a_chunk_whose_scorer_is_killed_is_scored_by_another(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    worker = fleet.start_worker()
    with fleet.gate_shut():
        fleet.wait_at_gate()
        (victim,) = worker.scorers()
        victim.kill()
        (death,) = worker.wait_for("scorer.died")
        assert death["how"] == "was killed (SIGKILL, 9)"
        assert (death["job"], death["chunk"]) == (job, 0)
        worker.wait_for("chunk.started", count=2)
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.assert_published(job, rows=1_000)
    assert worker.process.poll() is None


def test_a_chunk_that_kills_every_scorer_fails_its_job_with_the_reason(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    worker = fleet.start_worker(max_attempts=2)
    with fleet.gate_shut():
        for attempt in (1, 2):
            worker.wait_for("chunk.started", count=attempt)
            for scorer in worker.scorers():
                scorer.kill()
            worker.wait_for("scorer.died", count=attempt)
        record = fleet.wait(job)
    assert record.state is JobState.FAILED
    assert record.reason is not None
    assert "its scoring process was killed (SIGKILL, 9) at attempt 2" in record.reason
    fleet.assert_queue_empty()


def test_a_stopped_scorer_loses_its_chunk_after_its_allowance(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    worker = fleet.start_worker(allowance_seconds=3)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        (victim,) = worker.scorers()
        victim.suspend()
        worker.wait_for("scorer.stuck")
        eventually(lambda: is_gone(victim))
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.assert_published(job, rows=1_000)


def test_a_chunk_given_up_under_an_old_delivery_ends_its_job(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    # Stuck for longer than a lease, at its last attempt, with no other scorer there.
    worker = fleet.start_worker(max_attempts=1, allowance_seconds=5)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        record = fleet.wait(job)
    assert record.state is JobState.FAILED
    assert "reported nothing for 5 seconds at attempt 1" in str(record.reason)
    assert len(worker.said("chunk.started")) == 1
    assert worker.said("delivery.released") == worker.said("delivery.replaced") == []


def test_work_that_leaves_after_its_last_attempt_counts_it(fleet: Fleet) -> None:
    fleet.submit(rows=1_000)
    keeper = LeaseKeeper(
        fleet.cloud.queue, lease_seconds=60, heartbeat_seconds=20, clock=host_seconds, on_lost=lambda _: None
    )
    mail = Mail(fleet.cloud, keeper, fleet.settings, on_unreadable=lambda _: None, on_newer=lambda *_: None)
    counts = []
    for _ in range(3):
        (delivery,) = eventually(fleet.cloud.queue.receive)
        work = mail.open(delivery, received_at=host_seconds())
        assert work is not None
        counts.append(work.assignment.message.failures)
        if len(counts) == 2:
            work.give_up("its scoring process was killed")
        mail.give_back(work, reason="the worker drains")
    # Nothing had failed the first time, and the second time nobody was told.
    assert counts == [0, 0, 1]


@pytest.mark.parametrize("stopped", [False, True])
def test_no_process_outlives_a_killed_supervisor(fleet: Fleet, *, stopped: bool) -> None:
    fleet.submit(table="gated")
    worker = fleet.start_worker(scorers=2)
    with fleet.gate_shut():
        fleet.wait_at_gate(2)
        family = psutil.Process(worker.process.pid).children(recursive=True)
        if stopped:
            worker.scorers()[0].suspend()
        worker.process.kill()
        worker.process.wait()
        # The gate is still shut: the scorers are in the middle of their chunks.
        eventually(lambda: all(is_gone(process) for process in family), within_seconds=5)


def test_the_chunk_of_a_killed_worker_goes_to_another_after_its_lease(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    worker = fleet.start_worker()
    with fleet.gate_shut():
        fleet.wait_at_gate()
        worker.process.kill()
        worker.process.wait()
    fleet.start_worker()
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.assert_published(job, rows=1_000)


def test_a_heartbeat_keeps_a_chunk_for_longer_than_its_lease(fleet: Fleet) -> None:
    workers = [fleet.start_worker(lease_seconds=2, heartbeat_seconds=0.4) for _ in range(2)]
    for worker in workers:
        worker.wait_for("scorer.ready")
    with fleet.gate_shut():
        job = fleet.submit(rows=1_000, table="gated")
        fleet.wait_at_gate()
        since = time.monotonic()
        eventually(lambda: time.monotonic() - since > 5)
    assert fleet.wait(job).state is JobState.SUCCEEDED
    assert sum(len(worker.said("chunk.started")) for worker in workers) == 1


def test_a_worker_that_was_stopped_past_its_lease_gives_its_attempt_up(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    zombie = fleet.start_worker(lease_seconds=2, heartbeat_seconds=0.4)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        scorer = zombie.scorers()[0]
        for stopped in (scorer.pid, zombie.process.pid):
            os.kill(stopped, signal.SIGSTOP)
    fleet.start_worker(lease_seconds=2, heartbeat_seconds=0.4)
    assert fleet.wait(job).state is JobState.SUCCEEDED
    (standing,) = fleet.cloud.tracker.commits(job, [0])
    os.kill(zombie.process.pid, signal.SIGCONT)
    zombie.wait_for("lease.lost")
    zombie.wait_for("attempt.stopped")
    eventually(lambda: is_gone(scorer))
    assert fleet.cloud.tracker.commits(job, [0]) == [standing]
    fleet.assert_published(job, rows=1_000)
    assert zombie.stop() == 0
