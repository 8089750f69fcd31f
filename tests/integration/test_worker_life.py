"""The life of a job in a worker: what is scored, committed, published and acked when all goes well."""

from __future__ import annotations

import psutil
from tests.conftest import eventually
from tests.integration.worker_fleet import Fleet

from skfleet_common.contracts.jobs import CommitOutcome
from skfleet_common.contracts.messages import PublishMessage, encode
from skfleet_common.contracts.states import JobState


def test_a_job_is_scored_published_and_acked(standing_fleet: Fleet) -> None:
    job = standing_fleet.submit()
    record = standing_fleet.wait(job)
    assert record.state is JobState.SUCCEEDED, record.reason
    assert (record.rows_scored, record.rows_rejected) == (4_000, 0)
    assert record.finished_at is not None
    standing_fleet.assert_published(job)
    standing_fleet.assert_queue_empty()


def test_every_commit_names_an_object_of_its_own_attempt(standing_fleet: Fleet) -> None:
    (worker,) = standing_fleet.workers
    job = standing_fleet.submit()
    standing_fleet.wait(job)
    commits = standing_fleet.cloud.tracker.commits(job, range(4))
    assert [commit.rows_read for commit in commits] == [1_000] * 4
    assert {commit.worker for commit in commits} == {worker.said("worker.started")[0]["worker"]}
    for commit in commits:
        assert commit.output_key == standing_fleet.cloud.names.output(job, commit.chunk, commit.attempt)
        assert standing_fleet.cloud.store.exists(commit.output_key)


def test_two_workers_share_a_job(fleet: Fleet) -> None:
    for _ in range(2):
        fleet.start_worker()
    for worker in fleet.workers:
        worker.wait_for("scorer.ready")
    job = fleet.submit(chunk_rows=200)
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.assert_published(job)
    assert len({commit.worker for commit in fleet.cloud.tracker.commits(job, range(20))}) == 2


def test_two_jobs_at_the_same_time_do_not_mix(standing_fleet: Fleet) -> None:
    jobs = {standing_fleet.submit(rows=rows, chunk_rows=300): rows for rows in (1_000, 4_000)}
    for job, rows in jobs.items():
        assert standing_fleet.wait(job).state is JobState.SUCCEEDED
        standing_fleet.assert_published(job, rows=rows)


def test_a_chunk_of_many_batches_gives_the_same_rows(fleet: Fleet) -> None:
    fleet.start_worker(batch_rows=37)
    job = fleet.submit(chunk_rows=4_000)
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.assert_published(job)


def test_a_job_without_rows_publishes_an_empty_table(standing_fleet: Fleet) -> None:
    job = standing_fleet.submit(rows=0)
    record = standing_fleet.wait(job)
    assert record.state is JobState.SUCCEEDED, record.reason
    standing_fleet.assert_published(job, rows=0)


def test_a_second_delivery_of_every_message_changes_nothing(standing_fleet: Fleet) -> None:
    (worker,) = standing_fleet.workers
    job = standing_fleet.submit()
    chunks = standing_fleet.plan(job).chunks
    standing_fleet.send(job, chunks)
    standing_fleet.wait(job)
    before = standing_fleet.cloud.tracker.commits(job, range(len(chunks)))
    standing_fleet.send(job, chunks)
    standing_fleet.cloud.queue.send([encode(PublishMessage(job=job, run=1))] * 2)
    standing_fleet.assert_queue_empty()
    assert standing_fleet.cloud.tracker.commits(job, range(len(chunks))) == before
    assert standing_fleet.cloud.tracker.job(job).state is JobState.SUCCEEDED
    standing_fleet.assert_published(job)
    assert worker.process.poll() is None


def test_a_committed_chunk_is_never_scored_again(fleet: Fleet) -> None:
    job = fleet.submit(rows=2_000, table="gated")
    worker = fleet.start_worker()
    with fleet.gate_shut():
        worker.wait_for("chunk.started")
        # Both chunks are held by this worker; as copies, they come a second time.
        fleet.send(job, fleet.plan(job).chunks)
    fleet.wait(job)
    fleet.assert_queue_empty()
    assert len(worker.said("chunk.started")) == 2
    assert all(commit.outcome is CommitOutcome.DONE for commit in fleet.cloud.tracker.commits(job, range(2)))


def test_a_message_of_no_job_is_acked_unrun(standing_fleet: Fleet) -> None:
    (worker,) = standing_fleet.workers
    standing_fleet.cloud.queue.send([encode(PublishMessage(job="no-such-job", run=1))])
    worker.wait_for("message.moot")
    standing_fleet.assert_queue_empty()


def test_a_worker_announces_itself_and_its_scorers(fleet: Fleet) -> None:
    worker = fleet.start_worker(scorers=2)
    worker.wait_for("scorer.ready", count=2)
    presence = eventually(
        lambda: next((seen for seen in fleet.cloud.tracker.workers() if len(seen.scorer_pids) == 2), None)
    )
    assert presence is not None
    assert presence.supervisor_pid == worker.process.pid
    assert set(presence.scorer_pids) == {scorer.pid for scorer in worker.scorers()}
    assert "scikit-learn" in presence.versions
    assert worker.stop() == 0
    assert fleet.cloud.tracker.workers() == []


def test_presence_says_what_a_worker_works_on(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    worker = fleet.start_worker()
    with fleet.gate_shut():
        worker.wait_for("chunk.started")
        presence = eventually(
            lambda: next((seen for seen in fleet.cloud.tracker.workers() if seen.holdings), None)
        )
        assert presence is not None
        assert presence.working_on == (f"{job} chunk 0",)
        (holding,) = presence.holdings
        assert (holding.job, holding.run, holding.chunk) == (job, 1, 0)
        assert (holding.attempts, holding.rows_read) == (1, 0)
        # It goes on to grow while the worker announces itself.
        eventually(
            lambda: any(
                held.seconds > holding.seconds
                for seen in fleet.cloud.tracker.workers()
                for held in seen.holdings
            )
        )
    fleet.wait(job)
    eventually(lambda: [seen.holdings for seen in fleet.cloud.tracker.workers()] == [()])


def test_scorers_are_forked_from_a_process_with_one_thread(fleet: Fleet) -> None:
    worker = fleet.start_worker(scorers=2)
    worker.wait_for("scorer.ready", count=2)
    parents = {scorer.ppid() for scorer in worker.scorers()}
    assert len(parents) == 1
    assert psutil.Process(parents.pop()).num_threads() == 1


def test_the_supervisor_never_imports_the_numeric_modules(fleet: Fleet) -> None:
    worker = fleet.start_worker()
    worker.wait_for("scorer.ready")
    loaded = [mapped.path for mapped in psutil.Process(worker.process.pid).memory_maps()]
    assert not [path for path in loaded if "/sklearn/" in path or "/pyarrow/" in path]
