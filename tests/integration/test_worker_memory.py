"""What becomes of a chunk whose scoring process the memory does not suffice for, or that is killed."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from tests.conftest import eventually
from tests.integration.worker_fleet import GATE, Fleet, Worker

from skfleet_common.contracts.states import JobState

ROWS = 400_000


@pytest.fixture
def roomy(fleet: Fleet) -> str:
    """A gated view of as many rows as need memory."""
    fleet.sql(
        "CREATE OR REPLACE VIEW roomy AS SELECT n::bigint AS id, (100 + n % 977)::double precision AS miles,"
        f" 'AA'::text AS carrier FROM generate_series(1, {ROWS}) AS n"
        f" WHERE pg_advisory_xact_lock_shared({GATE} + n * 0)::text IS NOT NULL"
    )
    return "roomy"


def kill_scorers(worker: Worker) -> None:
    for scorer in worker.scorers():
        scorer.kill()


def test_the_kernel_takes_a_scorer_before_its_supervisor(standing_fleet: Fleet) -> None:
    (worker,) = standing_fleet.workers

    def adjustment(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    pids = [scorer.pid for scorer in worker.scorers()]
    assert len(pids) == 2
    assert min(map(adjustment, pids)) > adjustment(worker.process.pid)


def test_a_killed_chunk_is_tried_again_here_in_smaller_batches(fleet: Fleet) -> None:
    job = fleet.submit(rows=4_000, chunk_rows=4_000, table="gated")
    worker = fleet.start_worker(lease_seconds=600, heartbeat_seconds=10)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        kill_scorers(worker)
        worker.wait_for("chunk.started", count=2)
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.assert_published(job)
    (commit,) = fleet.cloud.tracker.commits(job, [0])
    assert commit.trouble == ("The scoring process was killed (SIGKILL, 9); scored in batches of 1,000 rows.")
    # The same delivery all along: nothing went back to the queue.
    assert commit.attempts == 1
    assert worker.said("delivery.released") == worker.said("delivery.replaced") == []
    assert [entry["batch_rows"] for entry in worker.said("chunk.shrunk")] == [1_000]
    assert worker.process.poll() is None


def test_a_killed_chunk_of_an_old_delivery_is_tried_again_here_too(fleet: Fleet) -> None:
    job = fleet.submit(rows=4_000, chunk_rows=4_000, table="gated")
    worker = fleet.start_worker(lease_seconds=2, heartbeat_seconds=0.4)

    def held_seconds() -> float:
        holdings = [holding for seen in fleet.cloud.tracker.workers() for holding in seen.holdings]
        return max((holding.seconds for holding in holdings), default=0.0)

    with fleet.gate_shut():
        fleet.wait_at_gate()
        eventually(lambda: held_seconds() > 3)
        kill_scorers(worker)
        worker.wait_for("chunk.started", count=2)
    assert fleet.wait(job).state is JobState.SUCCEEDED
    (commit,) = fleet.cloud.tracker.commits(job, [0])
    assert (commit.attempts, "batches of 1,000 rows" in str(commit.trouble)) == (1, True)


def test_a_chunk_whose_smallest_batches_are_killed_is_a_failed_attempt(fleet: Fleet) -> None:
    job = fleet.submit(rows=4_000, chunk_rows=4_000, table="gated")
    worker = fleet.start_worker(max_attempts=1)
    with fleet.gate_shut():
        for attempt in (1, 2):
            worker.wait_for("chunk.started", count=attempt)
            kill_scorers(worker)
            worker.wait_for("scorer.died", count=attempt)
        record = fleet.wait(job)
    assert record.state is JobState.FAILED
    assert "its scoring process was killed (SIGKILL, 9) at attempt 1" in str(record.reason)
    fleet.assert_queue_empty()


def test_a_scorer_that_gets_no_more_memory_is_replaced_and_its_chunk_scored(fleet: Fleet, roomy: str) -> None:
    job = fleet.submit(rows=ROWS, chunk_rows=ROWS, table=roomy)
    worker = fleet.start_worker(batch_rows=ROWS, lease_seconds=600, heartbeat_seconds=10)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        (scorer,) = worker.scorers()
        limit = scorer.memory_info().vms + 1024 * 1024
        scorer.rlimit(psutil.RLIMIT_AS, (limit, limit))
    worker.wait_for("attempt.out_of_memory")
    eventually(lambda: not scorer.is_running())
    record = fleet.wait(job)
    assert record.state is JobState.SUCCEEDED, record.reason
    (commit,) = fleet.cloud.tracker.commits(job, [0])
    assert commit.trouble == ("The scoring process ran out of memory; scored in batches of 100,000 rows.")
    assert (commit.rows_scored, commit.attempts) == (ROWS, 1)
