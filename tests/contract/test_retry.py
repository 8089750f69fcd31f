"""Retry: what a new run of a FAILED job takes up again, and how it counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace as changed

import pytest
from tests.contract.samples import CREATED, new_commit
from tests.contract.stored_jobs import messages_in, store_job, work_off

from skfleet.dispatch import send_chunks
from skfleet.job import Job, find_job
from skfleet.progress import Silent
from skfleet.retry import RUN_DAYS, retry
from skfleet.runs import chunk_plan
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage
from skfleet_common.contracts.runs import RunPlan
from skfleet_common.contracts.states import JobState
from skfleet_worker.completion import close_chunk

SILENT = Silent()


@pytest.fixture
def cloud(emptied_cloud: Cloud) -> Cloud:
    """The module's fleet; each test has jobs of its own."""
    return emptied_cloud


def sent_job(cloud: Cloud, *, chunks: int) -> JobRecord:
    """Give a job whose messages are in the queue."""
    record = store_job(cloud, chunks=chunks)
    plan = chunk_plan(cloud, record.job).chunks
    send_chunks(cloud, record, plan, positions=range(chunks), steps=SILENT)
    return record


def failed_job(cloud: Cloud, *, chunks: int = 5, failing: tuple[int, ...] = (1, 3)) -> str:
    """Give a job whose run 1 is over, with these chunks failed."""
    record = sent_job(cloud, chunks=chunks)
    assert work_off(cloud, failing=failing) == list(range(chunks))
    assert cloud.tracker.job(record.job).state is JobState.FAILED
    return record.job


def test_a_retry_sends_the_failed_chunks_alone_by_their_own_positions(cloud: Cloud) -> None:
    job = failed_job(cloud)
    effect = retry(cloud, job, steps=SILENT)
    assert (effect.state, effect.run, effect.sent, effect.changed) == (JobState.RUNNING, 2, 2, True)
    messages = {message.position: message for message in messages_in(cloud) if message.kind == "chunk"}
    assert {position: message.chunk.number for position, message in messages.items()} == {0: 1, 1: 3}
    assert {(message.run, message.run_chunks) for message in messages.values()} == {(2, 2)}
    assert RunPlan.from_json(cloud.store.get(cloud.names.run_plan(job, 2))).chunks == (1, 3)


def test_a_retried_job_ends_when_its_last_chunk_is_done_and_counts_all_rows(cloud: Cloud) -> None:
    job = failed_job(cloud)
    retry(cloud, job, steps=SILENT)
    status = find_job(cloud, job).status()
    # Chunk n has n + 1 rows: 1 + 3 + 5 were done in run 1.
    assert (status.rows_done, status.rows, status.chunks_done, status.chunks_failed) == (9, 15, 3, 0)
    assert work_off(cloud) == [1, 3]
    assert messages_in(cloud) == [PublishMessage(job=job, run=2)]
    status = find_job(cloud, job).status()
    assert (status.state, status.rows_done, status.chunks_done) == (JobState.PUBLISHING, 15, 5)


def test_a_chunk_that_fails_again_is_named_by_its_number_and_may_be_retried_again(cloud: Cloud) -> None:
    job = failed_job(cloud)
    retry(cloud, job, steps=SILENT)
    assert work_off(cloud, failing=[3]) == [1, 3]
    status = find_job(cloud, job).status()
    assert status.state is JobState.FAILED
    assert status.reason == "1 of 5 chunks failed. Chunk 3: The connection broke."
    assert [failure.chunk for failure in status.failures] == [3]
    assert (status.chunks_done, status.chunks_failed) == (4, 1)
    assert retry(cloud, job, steps=SILENT).run == 3
    assert work_off(cloud) == [3]
    assert cloud.tracker.job(job).state is JobState.PUBLISHING


def test_a_job_that_was_stopped_early_is_retried_over_all_that_is_not_done(cloud: Cloud) -> None:
    record = store_job(cloud, chunks=4)
    cloud.tracker.commit(new_commit(record.job, 2))
    cloud.tracker.move(record.job, JobState.FAILED, run=1, reason="The table changed.")
    assert retry(cloud, record.job, steps=SILENT).sent == 3
    assert work_off(cloud) == [0, 1, 3]
    assert cloud.tracker.job(record.job).state is JobState.PUBLISHING


def test_a_job_whose_publication_failed_is_only_published_again(cloud: Cloud) -> None:
    record = sent_job(cloud, chunks=2)
    work_off(cloud)
    messages_in(cloud)
    assert cloud.tracker.move(record.job, JobState.FAILED, run=1, reason="The output table is there.")
    effect = retry(cloud, record.job, steps=SILENT)
    assert (effect.state, effect.run, effect.sent) == (JobState.PUBLISHING, 2, 1)
    assert messages_in(cloud) == [PublishMessage(job=record.job, run=2)]
    status = find_job(cloud, record.job).status()
    assert (status.state, status.rows_done, status.chunks_done) == (JobState.PUBLISHING, 3, 2)


def test_retries_from_several_terminals_at_once_are_one_run_over_the_same_chunks(cloud: Cloud) -> None:
    job = failed_job(cloud, chunks=12, failing=(0, 5, 6, 11))
    with ThreadPoolExecutor(4) as threads:
        effects = list(threads.map(lambda _: retry(cloud, job, steps=SILENT), range(4)))
    assert {effect.run for effect in effects} == {2}
    messages = messages_in(cloud)
    assert {(it.position, it.chunk.number) for it in messages if isinstance(it, ChunkMessage)} == {
        (0, 0),
        (1, 5),
        (2, 6),
        (3, 11),
    }
    record = cloud.tracker.job(job)
    assert (record.run, record.run_chunks, record.state) == (2, 4, JobState.RUNNING)


def test_a_retry_takes_over_the_plan_of_one_that_died_before_it_began(cloud: Cloud) -> None:
    job = failed_job(cloud)
    # The dead one saw chunk 2 not done yet; its commit stood a moment later.
    cloud.store.put(cloud.names.run_plan(job, 2), RunPlan(job=job, run=2, chunks=(1, 2, 3)).to_json())
    assert retry(cloud, job, steps=SILENT).sent == 3
    assert work_off(cloud) == [1, 2, 3]
    assert cloud.tracker.job(job).state is JobState.PUBLISHING


def test_a_zombie_of_the_first_run_neither_ends_nor_fails_the_second(cloud: Cloud) -> None:
    record = sent_job(cloud, chunks=3)
    old = {it.chunk.number: it for it in messages_in(cloud) if isinstance(it, ChunkMessage)}
    for chunk in (0, 1):
        close_chunk(cloud, old[chunk], new_commit(record.job, chunk, failed=chunk == 1))
    cloud.tracker.move(record.job, JobState.FAILED, run=1, reason="The table changed.")
    retry(cloud, record.job, steps=SILENT)
    # Chunk 2 fails in the zombie, and fills the tree of run 1.
    close_chunk(cloud, old[2], new_commit(record.job, 2, failed=True))
    now = cloud.tracker.job(record.job)
    assert (now.state, now.run, now.reason) == (JobState.RUNNING, 2, None)
    assert work_off(cloud) == [1, 2]
    assert cloud.tracker.job(record.job).state is JobState.PUBLISHING
    assert messages_in(cloud) == [PublishMessage(job=record.job, run=2)]


@pytest.mark.parametrize("state", [JobState.SUBMITTING, JobState.RUNNING, JobState.PUBLISHING])
def test_a_job_that_goes_on_is_not_retried(cloud: Cloud, state: JobState) -> None:
    job = store_job(cloud, state=state).job
    effect = Job(cloud.tracker.job(job), cloud).retry()
    assert (effect.changed, effect.state) == (False, state)
    assert f"skfleet resume {job}" in effect.sentence
    assert messages_in(cloud) == []


def test_a_job_that_has_succeeded_meanwhile_is_left_alone(cloud: Cloud) -> None:
    job = store_job(cloud, state=JobState.SUCCEEDED).job
    effect = retry(cloud, job, steps=SILENT)
    assert (effect.changed, effect.state, effect.sent) == (False, JobState.SUCCEEDED, 0)
    assert "nothing is left to retry" in effect.sentence


def test_a_cancelled_job_is_refused(cloud: Cloud) -> None:
    with pytest.raises(Refused, match="for good"):
        retry(cloud, store_job(cloud, state=JobState.CANCELLED).job, steps=SILENT)


def test_a_job_of_which_something_may_expire_before_it_ends_is_refused(cloud: Cloud) -> None:
    job = failed_job(cloud)
    # Its plan is a moment old.
    for days, is_refused in ((RUN_DAYS - 1, True), (RUN_DAYS + 1, False)):
        there = changed(cloud, tracker=changed(cloud.tracker, retention_days=days))
        if is_refused:
            with pytest.raises(Refused, match=rf"expires after {days} .*; submit it again"):
                retry(there, job, steps=SILENT)
            assert messages_in(cloud) == []
        else:
            assert retry(there, job, steps=SILENT).changed


def test_a_job_whose_leftovers_are_gone_is_refused(cloud: Cloud) -> None:
    job = failed_job(cloud)
    assert cloud.tracker.collect(job, run=1, at=CREATED)
    with pytest.raises(Refused, match="gc took its outputs"):
        retry(cloud, job, steps=SILENT)
    assert cloud.tracker.job(job).state is JobState.FAILED
    assert messages_in(cloud) == []


def test_a_job_without_its_plan_is_refused(cloud: Cloud) -> None:
    job = failed_job(cloud)
    cloud.store.delete([cloud.names.plan(job)])
    with pytest.raises(Refused, match=r"has lost its plan .* is left to do; submit it again\."):
        retry(cloud, job, steps=SILENT)
