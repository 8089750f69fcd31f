"""The completion tree as a state machine: any order of deliveries, deaths, verbs and losses ends right."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace as changed
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from tests.contract.killable_attempt import Attempt
from tests.contract.model_world import Fate, ModelWorld, Place
from tests.contract.samples import new_job

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.states import JobState

#: Which message or attempt, modulo how many there are.
PICKS = st.integers(0, 30)
#: Where an attempt stands still, of the places where its kind comes by.
PLACES = st.integers(0, 23)
FATES = st.sampled_from([*[Fate.FINE] * 5, *[Fate.GIVEN_UP] * 2, Fate.FATAL])
MOST_MESSAGES = 60


@contextmanager
def begin(
    cloud: Cloud, *, chunks: int, fan_in: int = 2, seed: int = 0, is_submitted: bool = True
) -> Iterator[ModelWorld]:
    """Write a job of its own down and send its messages, or leave the producer standing before the first."""
    with tempfile.TemporaryDirectory() as folder:
        world = ModelWorld(
            cloud=changed(cloud, tracker=changed(cloud.tracker, fan_in=fan_in)),
            scratch=Path(folder),
            job=new_job().job,
            chunks=chunks,
            chance=random.Random(seed),  # noqa: S311  (an order, not a secret)
            failure_rate=0.0,
        )
        world.submit()
        if is_submitted:
            world.run_out(0)
        try:
            yield world
        finally:
            world.close()


class JobLife(RuleBasedStateMachine):
    """One job, from the moment it was written down."""

    cloud: ClassVar[Cloud]

    @initialize(
        chunks=st.sampled_from([1, 2, 2, 3, 3, 4, 5, 9]),
        fan_in=st.sampled_from([2, 3]),
        seed=st.integers(0, 2**16),
        is_submitted=st.sampled_from([True, True, True, False]),
        # Not in every life: nothing happens to a job after it was cancelled, and a purge excuses much.
        purges=st.sampled_from([0, 1]),
        cancelled_in=st.sampled_from([None, None, JobState.PUBLISHING, None, JobState.RUNNING]),
    )
    def submit(
        self,
        chunks: int,
        fan_in: int,
        seed: int,
        purges: int,
        cancelled_in: JobState | None,
        *,
        is_submitted: bool,
    ) -> None:
        self.purges, self.cancelled_in = purges, cancelled_in
        self.held = ExitStack()
        self.world = self.held.enter_context(
            begin(self.cloud, chunks=chunks, fan_in=fan_in, seed=seed, is_submitted=is_submitted)
        )

    # Workers. Also a message that somebody holds is delivered: the lease has expired.

    @precondition(lambda self: self.world.unacked)
    @rule(pick=PICKS, fate=FATES, place=PLACES)
    def deliver(self, pick: int, fate: Fate, place: int) -> None:
        self.begin(pick, fate)
        self.world.go_on(place)

    @precondition(lambda self: self.world.unacked)
    @rule(pick=PICKS, fate=FATES, place=PLACES)
    def deliver_and_die(self, pick: int, fate: Fate, place: int) -> None:
        attempt = self.begin(pick, fate)
        self.world.go_on(place)
        if not attempt.ended:
            self.world.crash(-1)

    @precondition(lambda self: self.world.unacked)
    @rule(fate=FATES, place=PLACES)
    def deliver_all(self, fate: Fate, place: int) -> None:
        """The last one alone may be hindered."""
        *others, last = sorted(self.world.unacked)
        for other in others:
            self.world.deliver(other)
            self.world.run_out(-1)
        self.world.deliver(last, fate)
        self.world.go_on(place)

    @precondition(lambda self: self.world.unacked)
    @rule(pick=PICKS, fates=st.tuples(FATES, FATES), places=st.tuples(PLACES, PLACES))
    def deliver_twice(self, pick: int, fates: tuple[Fate, Fate], places: tuple[int, int]) -> None:
        """The first one goes on only when the second one has come to its end."""
        first = self.begin(pick, fates[0])
        self.world.go_on(places[0])
        if not first.ended:
            self.begin(pick, fates[1])
            self.world.run_out(-1)
            self.world.go_on(places[1])

    @precondition(lambda self: self.world.sent)
    @rule(pick=PICKS, fate=FATES, place=PLACES)
    def deliver_again(self, pick: int, fate: Fate, place: int) -> None:
        """Any message ever sent, also one that was deleted, or is of an earlier run."""
        self.world.deliver(pick % len(self.world.sent), fate)
        self.world.go_on(place)

    @precondition(lambda self: self.world.attempts)
    @rule(pick=PICKS, place=PLACES)
    def go_on(self, pick: int, place: int) -> None:
        self.world.go_on(place, pick % len(self.world.attempts))

    @precondition(lambda self: self.world.attempts)
    @rule(pick=PICKS)
    def crash(self, pick: int) -> None:
        self.world.crash(pick % len(self.world.attempts))

    # Operators, of whom there may be several at once.

    @precondition(lambda self: self.state is JobState.FAILED and self.may_send)
    @rule(place=PLACES)
    def retry(self, place: int) -> None:
        self.world.begin_retry()
        self.world.go_on(place)

    @precondition(lambda self: self.world.is_lossy and self.may_send)
    @rule(place=PLACES)
    def resume(self, place: int) -> None:
        self.world.begin_resume()
        self.world.go_on(place)

    @precondition(lambda self: self.state is self.cancelled_in)
    @rule(place=PLACES)
    def cancel(self, place: int) -> None:
        self.world.begin_cancel()
        self.world.go_on(place)

    @precondition(lambda self: self.purges and self.world.unacked and self.world.deaths)
    @rule()
    def purge(self) -> None:
        self.purges -= 1
        self.world.purge()

    def begin(self, pick: int, fate: Fate) -> Attempt:
        waiting = sorted(self.world.unacked)
        return self.world.deliver(waiting[pick % len(waiting)], fate)

    @property
    def may_send(self) -> bool:
        return len(self.world.sent) < MOST_MESSAGES

    @property
    def state(self) -> JobState:
        return self.world.tracker.job(self.world.job).state

    # What must hold.

    @invariant()
    def always(self) -> None:
        self.world.check_always()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.world.rest()
                self.world.check_rest()
                self.world.check_retry()
        finally:
            self.held.close()


def play(cloud: Cloud, **given: object) -> None:
    class Here(JobLife):
        pass

    Here.cloud = cloud
    run_machine(
        Here,
        settings=settings(suppress_health_check=list(HealthCheck), deadline=None, **given),
    )


def test_cancelling_while_a_publisher_loads_leaves_no_output(module_cloud: Cloud) -> None:
    with begin(module_cloud, chunks=2) as world:
        for index in (0, 1):
            world.deliver(index)
            world.run_out(-1)
        world.deliver(2)
        while world.attempts[0].before != Place.PUBLISH:
            world.attempts[0].step()
        world.begin_cancel()
        world.run_out(-1)
        assert world.tracker.job(world.job).state is JobState.CANCELLED
        world.rest()
        world.check_rest()
        assert world.effects == []


def test_resuming_heals_a_climb_that_was_lost_with_its_message(module_cloud: Cloud) -> None:
    with begin(module_cloud, chunks=4) as world:
        for index in range(4):
            world.deliver(index)
            while world.attempts[-1].before != Place.CLIMB:
                world.attempts[-1].step()
            # Three chunks of four never reach the tree, and one no further than its leaf.
            world.attempts[-1].step() if index == 3 else None
            world.crash(-1)
        world.purge()
        world.rest()
        world.check_rest()
        assert world.effects == [1]


def test_a_leaf_that_is_full_without_the_root_knowing_is_climbed_again_by_resume(module_cloud: Cloud) -> None:
    with begin(module_cloud, chunks=4) as world:
        world.deliver(0)
        world.run_out(-1)
        world.deliver(1)
        for _ in range(2):
            world.attempts[-1].step()
            while world.attempts[-1].before != Place.CLIMB:
                world.attempts[-1].step()
        world.crash(-1)  # The leaf of chunks 0 and 1 is full, and nobody told the root.
        world.purge()
        world.rest()
        world.check_rest()
        assert world.effects == [1]


def test_publishing_has_one_effect_whatever_workers_operators_and_the_queue_do(module_cloud: Cloud) -> None:
    play(module_cloud, max_examples=60, stateful_step_count=25)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_the_same_holds_in_a_thousand_other_orders(module_cloud: Cloud) -> None:
    play(module_cloud, max_examples=1_000, stateful_step_count=50, derandomize=False)
