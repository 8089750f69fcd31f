"""Copies: near the end of a run a straggler is run a second time, and the first attempt to commit stands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ConnectionClosedError
from tests.contract.samples import new_commit, new_presence
from tests.integration.worker_fleet import Fleet

from skfleet_common.contracts.messages import ChunkMessage, decode
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.workers import Holding, WorkerPresence
from skfleet_worker.copies import Copies
from skfleet_worker.stalls import live_jobs


def holder(job: str, chunk: int, *, seconds: float, idle: int = 0) -> WorkerPresence:
    """A worker with a scorer that holds a chunk and some that hold nothing."""
    return new_presence("holder", seen_at=datetime.now(UTC)).model_copy(
        update={
            "scorer_pids": tuple(range(1, 2 + idle)),
            "holdings": (Holding(job=job, run=1, chunk=chunk, attempts=1, seconds=seconds),),
        }
    )


def run_almost(fleet: Fleet, *, chunks: int, done: int, seconds: float) -> str:
    """Submit a job some chunks of which are committed, each after ``seconds``; its queue is empty."""
    job = fleet.submit(rows=10 * chunks, chunk_rows=10)
    while deliveries := fleet.cloud.queue.receive():
        for delivery in deliveries:
            fleet.cloud.queue.ack(delivery)
    for chunk in range(done):
        fleet.cloud.tracker.commit(
            new_commit(job, chunk, seconds_reading=seconds / 2, seconds_scoring=seconds)
        )
        fleet.cloud.tracker.climb(job, 1, chunk, chunks, failed=False)
    return job


def copies_sent(fleet: Fleet, *workers: WorkerPresence, copy_seconds: float = 10.0) -> list[int]:
    """Let one caretaker look once; gives the chunks that it sent."""
    Copies(fleet.cloud, copy_seconds=copy_seconds).send(live_jobs(fleet.cloud.tracker), workers)
    sent = []
    for delivery in fleet.cloud.queue.receive():
        message = decode(delivery.body)
        assert isinstance(message, ChunkMessage)
        assert message.position == message.chunk.number
        sent.append(message.chunk.number)
        fleet.cloud.queue.ack(delivery)
    return sent


def test_a_straggler_is_copied_once_a_run_over_the_whole_fleet(fleet: Fleet) -> None:
    job = run_almost(fleet, chunks=10, done=9, seconds=4.0)
    late = holder(job, 9, seconds=13.0, idle=1)
    assert copies_sent(fleet, late) == [9]
    # Another worker's caretaker, and the same one later.
    assert copies_sent(fleet, late) == []


@pytest.mark.parametrize(
    ("done", "held_seconds", "copy_seconds", "idle"),
    [
        pytest.param(9, 11.0, 10.0, 1, id="held for less than three times the mean"),
        pytest.param(9, 13.0, 20.0, 1, id="held for less than the setting"),
        pytest.param(9, 13.0, 0.0, 1, id="turned off"),
        pytest.param(9, 13.0, 10.0, 0, id="nobody is idle"),
        pytest.param(8, 13.0, 10.0, 1, id="more chunks are left than scorers are idle"),
    ],
)
def test_a_chunk_is_not_copied_too_early(
    fleet: Fleet, done: int, held_seconds: float, copy_seconds: float, idle: int
) -> None:
    job = run_almost(fleet, chunks=10, done=done, seconds=4.0)
    late = holder(job, 9, seconds=held_seconds, idle=idle)
    assert copies_sent(fleet, late, copy_seconds=copy_seconds) == []
    # Nothing was claimed: it is copied once it is due.
    assert copies_sent(fleet, holder(job, 9, seconds=13.0, idle=2)) == [9]


def test_a_copy_that_could_not_be_claimed_is_claimed_later(fleet: Fleet) -> None:
    job = run_almost(fleet, chunks=10, done=9, seconds=4.0)
    late = [holder(job, 9, seconds=13.0, idle=1)]
    copies = Copies(fleet.cloud, copy_seconds=10.0)
    events = fleet.cloud.tracker.client.meta.events

    def refuse(**_: object) -> None:
        raise ConnectionClosedError(endpoint_url="https://dynamodb")

    events.register("before-call.dynamodb.PutItem", refuse)
    copies.send(live_jobs(fleet.cloud.tracker), late)
    events.unregister("before-call.dynamodb.PutItem", refuse)
    assert fleet.cloud.queue.receive() == []
    copies.send(live_jobs(fleet.cloud.tracker), late)
    assert len(fleet.cloud.queue.receive()) == 1


def test_a_job_whose_plan_is_lost_costs_others_no_copies(fleet: Fleet) -> None:
    jobs = [run_almost(fleet, chunks=10, done=9, seconds=4.0) for _ in range(2)]
    store = fleet.cloud.store
    store.client.delete_object(Bucket=store.bucket, Key=fleet.cloud.names.plan(jobs[1]))
    late = [holder(job, 9, seconds=13.0, idle=1) for job in jobs]
    assert copies_sent(fleet, *late) == [9]


def test_a_committed_chunk_is_never_copied(fleet: Fleet) -> None:
    job = run_almost(fleet, chunks=10, done=9, seconds=4.0)
    assert copies_sent(fleet, holder(job, 3, seconds=100.0, idle=1)) == []


def test_a_stopped_scorer_is_overtaken_by_a_copy_and_changes_nothing_later(fleet: Fleet) -> None:
    job = fleet.submit(table="gated", chunk_rows=1_000)
    lasting = {"lease_seconds": 60, "heartbeat_seconds": 0.5, "allowance_seconds": 600}
    stopped = fleet.start_worker(copy_seconds=1, **lasting)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        victim = stopped.scorers()[0]
        victim.suspend()
    other = fleet.start_worker(copy_seconds=1, **lasting)
    assert fleet.wait(job).state is JobState.SUCCEEDED
    # The chunk in the stopped scorer's hands, and the one that waits behind it.
    (begun,) = stopped.said("chunk.started")
    copied = [said["chunk"] for said in other.said("chunk.copied")]
    assert (copied[0], len(copied)) == (begun["chunk"], 2)
    standing = fleet.cloud.tracker.commits(job, range(4))
    assert {commit.worker for commit in standing} == {other.said("worker.started")[0]["worker"]}
    victim.resume()
    stopped.wait_for("chunk.committed_by_another")
    assert fleet.cloud.tracker.commits(job, range(4)) == standing
    fleet.assert_published(job)
