"""Dead letters are read back: each is attributed to its chunk and job, and no job waits for one for ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace as changed

import pytest
from tests.conftest import eventually
from tests.contract.samples import new_commit, new_presence
from tests.integration.worker_fleet import Fleet

from skfleet.job import find_job
from skfleet_common.aws.creation import MAX_RECEIVES
from skfleet_common.contracts.jobs import Commit, CommitOutcome
from skfleet_common.contracts.messages import MESSAGE_VERSION, PublishMessage, decode, encode
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.workers import Holding, WorkerPresence
from skfleet_worker.dead_letters import DeadLetters
from skfleet_worker.lost_chunks import LOST
from skfleet_worker.renewals import PUBLISH_RENEWALS
from skfleet_worker.work import Work


def deliver_too_often(fleet: Fleet) -> None:
    """Take everything in the queue and give it back, until the queue itself lays it with the dead letters."""
    while deliveries := fleet.cloud.queue.receive():
        for delivery in deliveries:
            fleet.cloud.queue.release(delivery)
    assert fleet.cloud.queue.approximate_depth().total == 0


def read(fleet: Fleet, *workers: WorkerPresence, **settings: object) -> list[Work]:
    """Read the dead letters as a worker's caretaker does; gives what it leaves to a scorer."""
    entrusted: list[Work] = []
    told = fleet.settings.model_copy(update=settings)
    DeadLetters(fleet.cloud, told, worker="reader", entrust=entrusted.append).read(workers)
    return entrusted


def holder(job: str, chunk: int | None) -> WorkerPresence:
    return new_presence("at-it").model_copy(update={"holdings": (Holding(job=job, run=1, chunk=chunk),)})


def dead_letters(fleet: Fleet) -> int:
    return fleet.cloud.dead_letters.approximate_depth().total


def failed(fleet: Fleet, job: str, chunk: int = 0) -> Commit:
    (commit,) = fleet.cloud.tracker.commits(job, [chunk])
    assert commit.outcome is CommitOutcome.FAILED
    return commit


def test_a_chunk_whose_message_never_finished_fails_and_ends_its_job(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000)
    deliver_too_often(fleet)
    read(fleet)
    commit = failed(fleet, job)
    assert (commit.attempts, commit.worker) == (MAX_RECEIVES, LOST)
    record = fleet.cloud.tracker.job(job)
    assert record.state is JobState.FAILED
    assert "Its message was delivered 10 times and never finished" in str(record.reason)
    assert dead_letters(fleet) == 0


def test_two_readers_of_one_dead_letter_close_its_chunk_once(fleet: Fleet) -> None:
    job = fleet.submit(rows=2_000)
    deliver_too_often(fleet)
    (letter, _) = (delivery.body for delivery in fleet.cloud.dead_letters.receive())
    fleet.cloud.dead_letters.send([letter, letter])
    read(fleet)
    chunk = json.loads(letter)["chunk"]["number"]
    standing = failed(fleet, job, chunk)
    assert fleet.cloud.tracker.progress(job, 1, 2).failed == {standing.chunk}
    fleet.cloud.dead_letters.send([letter])
    read(fleet)
    assert failed(fleet, job, chunk) == standing
    assert fleet.cloud.tracker.job(job).state is JobState.RUNNING


def test_a_dead_letter_of_a_committed_chunk_only_repeats_the_climb(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000)
    standing = fleet.cloud.tracker.commit(new_commit(job, 0, rows_read=1_000, rows_scored=1_000))
    deliver_too_often(fleet)
    read(fleet)
    assert fleet.cloud.tracker.commits(job, [0]) == [standing]
    assert fleet.cloud.tracker.job(job).state is JobState.PUBLISHING
    (due,) = fleet.cloud.queue.receive()
    assert decode(due.body) == PublishMessage(job=job, run=1)
    assert dead_letters(fleet) == 0


def test_a_dead_letter_is_left_alone_while_a_worker_holds_its_chunk(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000)
    deliver_too_often(fleet)
    read(fleet, holder(job, 0))
    assert fleet.cloud.tracker.commits(job, [0]) == []
    assert fleet.cloud.tracker.job(job).state is JobState.RUNNING
    assert dead_letters(fleet) == 1


@pytest.mark.parametrize(
    "end",
    [
        lambda fleet, job: fleet.cloud.tracker.move(job, JobState.CANCELLED, run=1),
        lambda fleet, job: (
            fleet.cloud.tracker.move(job, JobState.FAILED, run=1)
            and fleet.cloud.tracker.start_run(job, run=2, run_chunks=1)
        ),
    ],
    ids=["the job has ended", "the job is at another run"],
)
def test_dead_letters_that_change_nothing_are_deleted(
    fleet: Fleet, end: Callable[[Fleet, str], bool]
) -> None:
    job = fleet.submit(rows=1_000)
    fleet.cloud.queue.send([encode(PublishMessage(job="no-such-job", run=1))])
    deliver_too_often(fleet)
    assert end(fleet, job)
    before = fleet.cloud.tracker.job(job)
    assert read(fleet) == []
    assert dead_letters(fleet) == 0
    assert fleet.cloud.tracker.commits(job, [0]) == []
    assert fleet.cloud.tracker.job(job) == before


def test_what_nobody_can_read_stays_and_starves_nothing_behind_it(fleet: Fleet) -> None:
    newer = f'{{"schema_version": {MESSAGE_VERSION + 1}, "kind": "dance"}}'
    fleet.cloud.dead_letters.send(["{not json", newer] * 13)
    job = fleet.submit(rows=1_000)
    deliver_too_often(fleet)
    read(fleet)
    assert fleet.cloud.tracker.job(job).state is JobState.FAILED
    assert dead_letters(fleet) == 26


def test_a_publish_message_is_sent_afresh_a_few_times_and_then_left_to_a_scorer(fleet: Fleet) -> None:
    job = fleet.submit(rows=0)
    for _ in range(PUBLISH_RENEWALS):
        deliver_too_often(fleet)
        assert read(fleet) == []
        assert (fleet.cloud.queue.approximate_depth().total, dead_letters(fleet)) == (1, 0)
    deliver_too_often(fleet)
    (work,) = read(fleet)
    assert work.assignment.message == PublishMessage(job=job, run=1)
    assert work.assignment.give_up_because == ("4 messages for it became dead letters")
    # It stays until the job has ended: who was to give it up may die, too.
    assert (fleet.cloud.queue.approximate_depth().total, dead_letters(fleet)) == (0, 1)
    assert fleet.cloud.tracker.job(job).state is JobState.PUBLISHING


def test_an_unreadable_message_fails_the_chunk_that_it_names(fleet: Fleet) -> None:
    job = fleet.submit(rows=2_000)
    body = {"job": job, "run": 1, "chunk": {"number": 1}, "position": 0, "run_chunks": 99}
    fleet.cloud.dead_letters.send([json.dumps(body)])
    read(fleet, stall_seconds=0)
    commit = failed(fleet, job, 1)
    assert "could not be read" in str(commit.reason)
    assert commit.worker == "reader"
    # Where it stands in the run is what was planned, whatever the message says.
    assert fleet.cloud.tracker.progress(job, 1, 2).done == {1}
    assert fleet.cloud.tracker.job(job).state is JobState.RUNNING
    assert dead_letters(fleet) == 1


@pytest.mark.parametrize("why", ["its chunk is held", "its job is not quiet", "another may lie in the queue"])
def test_an_unreadable_message_costs_nothing_while_another_may_yet_succeed(fleet: Fleet, why: str) -> None:
    job = fleet.submit(rows=2_000)
    fleet.cloud.dead_letters.send([json.dumps({"job": job, "run": 1, "chunk": {"number": 1}})])
    workers = [holder(job, 1)] if why == "its chunk is held" else []
    if why == "its job is not quiet":
        for delivery in fleet.cloud.queue.receive():
            fleet.cloud.queue.ack(delivery)
    read(
        fleet,
        *workers,
        stall_seconds=0 if workers else 900,
        lease_seconds=60 if why == "its job is not quiet" else 0.01,
    )
    assert fleet.cloud.tracker.commits(job, [1]) == []
    # But it is told.
    (trouble,) = find_job(fleet.cloud, job).status().troubles
    assert "could not be read" in trouble.reason


def test_letters_behind_more_garbage_than_a_round_reads_are_read(fleet: Fleet) -> None:
    garbage = 300
    fleet.cloud.dead_letters.send([f"garbage {n}" for n in range(garbage)])
    job = fleet.submit(rows=1_000)
    deliver_too_often(fleet)
    short = fleet.settings.model_copy(update={"lease_seconds": 0.4})
    hasty = changed(fleet.cloud, dead_letters=changed(fleet.cloud.dead_letters, lease_seconds=1))
    letters = DeadLetters(hasty, short, worker="reader", entrust=lambda _: None)

    def ended() -> bool:
        letters.read([])
        return fleet.cloud.tracker.job(job).state is JobState.FAILED

    # Each round sees less of it: what nothing follows from stays hidden.
    eventually(ended)
    assert dead_letters(fleet) == garbage


def test_a_letter_of_a_number_that_no_table_takes_keeps_no_other_from_being_read(fleet: Fleet) -> None:
    strange = fleet.submit(rows=1_000)
    deliver_too_often(fleet)
    (letter,) = fleet.cloud.dead_letters.receive()
    fleet.cloud.dead_letters.ack(letter)
    fleet.cloud.dead_letters.send([json.dumps(json.loads(letter.body) | {"failures": 10**40})])
    job = fleet.submit(rows=1_000)
    deliver_too_often(fleet)
    read(fleet, stall_seconds=0)
    assert failed(fleet, job).worker == LOST
    assert "could not be read" in str(failed(fleet, strange).reason)


@pytest.mark.parametrize(
    "body", [{}, {"run": 1}, {"chunk": {"number": 0}}, {"run": 1, "chunk": {"number": 7}}]
)
def test_an_unreadable_message_that_names_no_chunk_of_its_job_is_a_trouble_of_the_job(
    fleet: Fleet, body: dict[str, object]
) -> None:
    job = fleet.submit(rows=2_000)
    fleet.cloud.dead_letters.send([json.dumps({"job": job} | body)])
    read(fleet)
    assert fleet.cloud.tracker.commits(job, [0, 1]) == []
    (trouble,) = find_job(fleet.cloud, job).status().troubles
    assert (trouble.chunk, trouble.worker) == (None, "reader")
    assert "could not be read" in trouble.reason


def test_an_unreadable_message_of_another_run_or_job_changes_nothing(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000)
    chunk = {"chunk": {"number": 0}}
    fleet.cloud.dead_letters.send(
        [json.dumps({"job": job, "run": 2} | chunk), json.dumps({"job": "no-such-job", "run": 1} | chunk)]
    )
    read(fleet)
    assert fleet.cloud.tracker.commits(job, [0]) == []
    assert fleet.cloud.tracker.troubles(job, 1) == []


# Through real workers.


def test_a_chunk_that_kills_its_worker_every_time_ends_its_job(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    for _ in range(MAX_RECEIVES - 1):
        (delivery,) = fleet.cloud.queue.receive()
        fleet.cloud.queue.release(delivery)
    worker = fleet.start_worker(max_attempts=10)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        worker.process.kill()
        worker.process.wait()
    reader = fleet.start_worker()
    record = fleet.wait(job)
    assert record.state is JobState.FAILED
    assert "delivered 10 times and never finished; its workers were lost" in str(record.reason)
    assert reader.said("chunk.started") == []
    assert dead_letters(fleet) == 0
    (failure,) = find_job(fleet.cloud, job).status().failures
    assert (failure.chunk, failure.attempts) == (0, 10)


def test_a_publication_that_kills_its_worker_every_time_ends_its_job(fleet: Fleet) -> None:
    job = fleet.submit(rows=0)
    for letter in range(PUBLISH_RENEWALS):
        fleet.cloud.tracker.count_renewal(job, 1, f"letter-{letter}")
    deliver_too_often(fleet)
    worker = fleet.start_worker()
    record = fleet.wait(job)
    assert record.state is JobState.FAILED
    assert record.reason == ("Publishing failed: 4 messages for it became dead letters.")
    worker.wait_for("dead_letter.moot")
    assert fleet.sql(f"SELECT to_regclass('{fleet.output_table(job)}')") == [(None,)]


def test_a_poison_message_is_told_to_its_job_at_once_and_fails_it_in_the_end(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000)
    (good,) = fleet.cloud.queue.receive()
    fleet.cloud.queue.send([json.dumps(json.loads(good.body) | {"kind": "dance"})])
    fleet.cloud.queue.ack(good)
    told = fleet.start_worker(care_seconds=600)
    (trouble,) = eventually(lambda: find_job(fleet.cloud, job).status().troubles)
    assert "could not be read" in trouble.reason
    assert told.stop() == 0
    fleet.start_worker()
    record = fleet.wait(job)
    assert record.state is JobState.FAILED
    assert "Its message could not be read" in str(record.reason)
    assert dead_letters(fleet) == 1
    fleet.assert_queue_empty()


def test_a_poison_copy_of_a_chunk_that_is_being_scored_costs_nothing(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    (good,) = fleet.cloud.queue.receive()
    fleet.cloud.queue.release(good)
    worker = fleet.start_worker(stall_seconds=0.1)
    reader = fleet.start_worker(stall_seconds=0.1)
    with fleet.gate_shut():
        fleet.wait_at_gate()
        fleet.cloud.queue.send([json.dumps(json.loads(good.body) | {"kind": "dance"})])
        eventually(lambda: worker.said("dead_letter.held") or reader.said("dead_letter.held"))
        assert find_job(fleet.cloud, job).status().troubles
    assert fleet.wait(job).state is JobState.SUCCEEDED
