"""The completion tree on a real DynamoDB API: whatever dies, a job is published exactly once, and in time."""

from __future__ import annotations

import random
from dataclasses import replace as changed

import pytest
from hypothesis import HealthCheck, given, settings
from tests.contract.lives import LIVES, Life, begin, live
from tests.contract.samples import new_job
from tests.contract.simulated_fleet import MOST_STEPS

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import RootState, Tracker
from skfleet_common.contracts.states import JobState


@pytest.fixture(scope="module")
def tracker(module_cloud: Cloud) -> Tracker:
    return module_cloud.tracker


@given(life=LIVES)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_publishing_has_exactly_one_effect_never_before_the_last_commit_never_none(
    module_cloud: Cloud, life: Life
) -> None:
    live(module_cloud, life)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@given(life=LIVES)
@settings(max_examples=1_000, derandomize=False, suppress_health_check=list(HealthCheck))
def test_the_same_holds_for_a_thousand_other_lives(module_cloud: Cloud, life: Life) -> None:
    live(module_cloud, life)


def die_after(cloud: Cloud, steps: int, *, last: int) -> bool:
    """Let whoever takes a job's last message die after some requests; True if that was before its end.

    The last message is the last chunk's, or the publish message when ``last`` is no chunk.
    """
    with begin(cloud, Life([], chunks=3)) as world:
        for index in [0, 1, 2]:
            if index != last:
                world.deliver(index).run_out()
        dying = world.deliver(last)
        for _ in range(steps):
            dying.step()
        world.attempts.clear()
        died = not dying.ended
        if died:
            dying.crash()
            assert last in world.unacked
        world.finish(disruptions=0)
        world.check_end()
        assert world.effects == [1]
        return died


@pytest.mark.parametrize("last", [0, 2])
def test_a_worker_that_dies_at_any_request_of_the_last_chunk_is_healed_by_the_next_delivery(
    module_cloud: Cloud, last: int
) -> None:
    requests = next(steps for steps in range(100) if not die_after(module_cloud, steps, last=last))
    # Job, commits, spec, put, commit, two levels, move, send, ack: none of them was left out.
    assert 10 <= requests <= MOST_STEPS


def test_a_worker_that_dies_at_any_request_of_publishing_is_healed_by_the_next_delivery(
    module_cloud: Cloud,
) -> None:
    requests = next(steps for steps in range(100) if not die_after(module_cloud, steps, last=3))
    # Job, spec, plan, commits, move, three parts, the transaction, move, ack.
    assert requests >= 11


def test_a_zombie_of_an_earlier_run_ends_no_later_run(module_cloud: Cloud) -> None:
    with begin(module_cloud, Life([], chunks=3, failure_rate=1.0)) as world:
        zombies = [world.deliver(index) for index in range(3)]
        world.attempts.clear()
        for zombie in zombies:
            # Job, commits: they go on to commit.
            zombie.step()
            zombie.step()
        for index in range(3):
            world.deliver(index)
            world.run_out(0)
        assert world.tracker.job(world.job).state is JobState.FAILED
        assert world.retry()
        world.failure_rate = 0.0
        for zombie in zombies:
            zombie.run_out()
        world.look()
        record = world.tracker.job(world.job)
        assert (record.state, record.run) == (JobState.RUNNING, 2)
        world.finish(disruptions=0)
        world.check_end()
        assert world.effects == [2]


@pytest.mark.parametrize("chunks", [1, 2, 3, 4, 5, 9, 16, 17])
def test_only_the_last_climb_of_all_finds_the_root_full(tracker: Tracker, chunks: int) -> None:
    tree = changed(tracker, fan_in=2)
    job = new_job().job
    order = random.Random(chunks).sample(range(chunks), chunks)  # noqa: S311  (an order, not a secret)
    found = [tree.climb(job, 1, position, chunks, failed=False) for position in order]
    assert [state is not None and state.full for state in found] == [False] * (chunks - 1) + [True]
    assert tree.progress(job, 1, chunks).done == frozenset(range(chunks))


def test_a_failed_chunk_is_known_at_the_root_whoever_comes_last(tracker: Tracker) -> None:
    tree = changed(tracker, fan_in=3)
    for failing in (0, 7, 13):
        job = new_job().job
        states = [tree.climb(job, 1, n, 14, failed=n == failing) for n in range(14)]
        assert states[-1] == RootState(full=True, failed=True)
        assert tree.progress(job, 1, 14).failed == frozenset({failing})


def test_climbing_again_changes_nothing_and_finds_the_root_again(tracker: Tracker) -> None:
    tree = changed(tracker, fan_in=2)
    job = new_job().job
    for position in range(5):
        tree.climb(job, 1, position, 5, failed=False)
    before = tree.progress(job, 1, 5)
    for position in range(5):
        assert tree.climb(job, 1, position, 5, failed=False) == RootState(full=True, failed=False)
    assert tree.progress(job, 1, 5) == before


def test_progress_reads_more_leaves_than_one_request_takes(tracker: Tracker) -> None:
    tree = changed(tracker, fan_in=2)
    job = new_job().job
    for position in (0, 250, 499):
        tree.climb(job, 1, position, 500, failed=position == 250)
    progress = tree.progress(job, 1, 500)
    assert (progress.done, progress.failed) == ({0, 250, 499}, {250})
    assert tree.progress(job, 2, 500).done == frozenset()
    assert tree.progress(job, 1, 0).done == frozenset()
