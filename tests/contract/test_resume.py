"""Resume: whatever was lost, one call sends what is missing, and the job ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace as changed

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.samples import new_commit, new_job
from tests.contract.stored_jobs import messages_in, store_job, work_off

from skfleet.dispatch import send_chunks
from skfleet.job import find_job
from skfleet.progress import Silent, Step
from skfleet.resume import positions_to_send, resume
from skfleet.retry import retry
from skfleet.runs import chunk_plan
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.tree import CompletionTree

SILENT = Silent()


@pytest.fixture
def cloud(emptied_cloud: Cloud) -> Cloud:
    """The module's fleet; each test has jobs of its own."""
    return emptied_cloud


@pytest.fixture
def small_trees(cloud: Cloud) -> Cloud:
    """A fleet whose trees have two members a node."""
    return changed(cloud, tracker=changed(cloud.tracker, fan_in=2))


def test_a_job_whose_producer_died_while_sending_goes_on(cloud: Cloud) -> None:
    record = store_job(cloud, chunks=5, state=JobState.SUBMITTING)
    send_chunks(cloud, record, chunk_plan(cloud, record.job).chunks, positions=[0, 1], steps=SILENT)
    assert work_off(cloud) == [0, 1]
    effect = find_job(cloud, record.job).resume()
    assert (effect.sent, effect.changed, effect.state) == (3, True, JobState.RUNNING)
    assert work_off(cloud) == [2, 3, 4]
    assert cloud.tracker.job(record.job).state is JobState.PUBLISHING


def test_a_job_whose_queue_was_purged_goes_on(cloud: Cloud) -> None:
    record = store_job(cloud, chunks=4)
    for _ in range(2):
        assert resume(cloud, record.job, steps=SILENT).sent == 4
        assert len(messages_in(cloud)) == 4
    resume(cloud, record.job, steps=SILENT)
    assert work_off(cloud) == [0, 1, 2, 3]
    assert messages_in(cloud) == [PublishMessage(job=record.job, run=1)]


def test_a_job_of_a_later_run_goes_on_with_the_chunks_of_that_run(cloud: Cloud) -> None:
    record = store_job(cloud, chunks=4)
    cloud.tracker.commit(new_commit(record.job, 1))
    cloud.tracker.move(record.job, JobState.FAILED, run=1)
    retry(cloud, record.job, steps=SILENT)
    first, *_ = messages_in(cloud)
    assert isinstance(first, ChunkMessage)
    cloud.queue.send([first.model_dump_json()])
    work_off(cloud)
    assert resume(cloud, record.job, steps=SILENT).sent == 2
    assert sorted(work_off(cloud)) == sorted({0, 2, 3} - {first.chunk.number})
    assert cloud.tracker.job(record.job).state is JobState.PUBLISHING


@pytest.mark.parametrize("failing", [(), (1,)])
def test_a_job_whose_last_worker_died_before_it_ended_the_run_is_ended(
    cloud: Cloud, failing: tuple[int, ...]
) -> None:
    record = store_job(cloud, chunks=3)
    for chunk in range(3):
        commit = cloud.tracker.commit(new_commit(record.job, chunk, failed=chunk in failing))
        cloud.tracker.climb(record.job, 1, chunk, 3, failed=commit.outcome == "failed")
    assert resume(cloud, record.job, steps=SILENT).sent == 1
    assert len(work_off(cloud, failing=failing)) == 1
    expected = JobState.FAILED if failing else JobState.PUBLISHING
    assert cloud.tracker.job(record.job).state is expected


def test_a_publication_is_asked_for_again(cloud: Cloud) -> None:
    job = store_job(cloud, state=JobState.PUBLISHING).job
    effect = resume(cloud, job, steps=SILENT)
    assert (effect.state, effect.sent) == (JobState.PUBLISHING, 1)
    assert messages_in(cloud) == [PublishMessage(job=job, run=1)]


def test_a_job_without_chunks_is_published(cloud: Cloud) -> None:
    job = store_job(cloud, chunks=0, state=JobState.SUBMITTING).job
    assert resume(cloud, job, steps=SILENT).state is JobState.PUBLISHING
    assert messages_in(cloud) == [PublishMessage(job=job, run=1)]


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.CANCELLED])
def test_nothing_is_sent_for_a_job_that_has_ended(cloud: Cloud, state: JobState) -> None:
    effect = resume(cloud, store_job(cloud, state=state).job, steps=SILENT)
    assert (effect.changed, effect.state, effect.sent) == (False, state, 0)
    assert messages_in(cloud) == []


def test_a_job_that_is_cancelled_while_it_sends_is_not_said_to_go_on(cloud: Cloud) -> None:
    job = store_job(cloud, chunks=2).job

    class Terminal(Silent):
        def step(self, title: str, **given: object) -> AbstractContextManager[Step]:
            assert cloud.tracker.move(job, JobState.CANCELLED, run=1)
            return super().step(title, **given)  # type: ignore[arg-type]

    effect = resume(cloud, job, steps=Terminal())
    assert (effect.state, effect.sent) == (JobState.CANCELLED, 2)
    assert effect.sentence == f"Job {job} is CANCELLED meanwhile; whatever was sent after that is moot."


def test_a_failed_job_is_for_retry(cloud: Cloud) -> None:
    job = store_job(cloud, state=JobState.FAILED).job
    with pytest.raises(Refused, match=f"skfleet retry {job}"):
        resume(cloud, job, steps=SILENT)


def test_a_job_without_its_plan_says_what_to_do(cloud: Cloud) -> None:
    job = store_job(cloud).job
    cloud.store.delete([cloud.names.plan(job)])
    with pytest.raises(Refused, match=f"lost its plan .*; end it with skfleet cancel {job}"):
        resume(cloud, job, steps=SILENT)


@given(
    run_chunks=st.integers(1, 12),
    fan_in=st.integers(2, 4),
    reached=st.lists(st.integers(0, 4), min_size=12, max_size=12),
)
@settings(max_examples=40)
def test_a_tree_whose_climbs_broke_off_anywhere_is_healed(
    module_cloud: Cloud, run_chunks: int, fan_in: int, reached: list[int]
) -> None:
    """``reached`` says how many levels each chunk's worker climbed before it died."""
    tracker, job = changed(module_cloud.tracker, fan_in=fan_in), new_job().job
    for position in range(run_chunks):
        steps = tracker.climb_steps(job, 1, position, run_chunks, failed=False)
        for _ in zip(range(reached[position]), steps, strict=False):
            pass
    done = tracker.progress(job, 1, run_chunks).done
    positions = list(positions_to_send(done, run_chunks, fan_in=fan_in))
    assert set(range(run_chunks)) - done <= set(positions)
    assert len(set(positions) & done) <= len(CompletionTree(run_chunks, fan_in).leaves())
    found = [tracker.climb(job, 1, position, run_chunks, failed=False) for position in positions]
    assert any(root is not None and root.full for root in found)


def test_a_broken_climb_above_a_full_leaf_is_healed_by_workers(small_trees: Cloud) -> None:
    cloud = small_trees
    record = store_job(cloud, chunks=8)

    def climbs(position: int) -> Iterator[object]:
        cloud.tracker.commit(new_commit(record.job, position))
        return cloud.tracker.climb_steps(record.job, 1, position, 8, failed=False)

    for position in range(8):
        # Nobody tells the parents of the full leaves.
        next(climbs(position))
    assert resume(cloud, record.job, steps=SILENT).sent == 4
    work_off(cloud)
    assert cloud.tracker.job(record.job).state is JobState.PUBLISHING
