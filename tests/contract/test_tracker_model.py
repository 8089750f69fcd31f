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
from skfleet_common.contracts.names import FleetNames
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
    job = new_job().job
    # A prefix of its own in the bucket: clean-up looks at all jobs of a fleet.
    alone = changed(cloud, tracker=changed(cloud.tracker, fan_in=fan_in), names=FleetNames(job))
    with tempfile.TemporaryDirectory() as folder:
        world = ModelWorld(
            cloud=alone,
            scratch=Path(folder),
            job=job,
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
        # Nor does anybody retry what clean-up took.
        sweeps=st.sampled_from([0, 0, 1, 2]),
        burials=st.sampled_from([0, 3]),
        cancelled_in=st.sampled_from([None, None, JobState.PUBLISHING, None, JobState.RUNNING]),
    )
    def submit(
        self,
        *,
        chunks: int,
        fan_in: int,
        seed: int,
        purges: int,
        sweeps: int,
        burials: int,
        cancelled_in: JobState | None,
        is_submitted: bool,
    ) -> None:
        self.purges, self.cancelled_in = purges, cancelled_in
        self.sweeps, self.burials = sweeps, burials
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

    @precondition(lambda self: self.burials and self.world.unacked)
    @rule(pick=PICKS)
    def bury(self, pick: int) -> None:
        """A message that was delivered too often becomes a dead letter."""
        self.burials -= 1
        waiting = sorted(self.world.unacked)
        self.world.bury(waiting[pick % len(waiting)])

    @precondition(lambda self: self.world.dead and self.may_send)
    @rule(place=PLACES)
    def redrive(self, place: int) -> None:
        self.world.begin_redrive()
        self.world.go_on(place)

    @precondition(lambda self: self.sweeps and self.world.seen)
    @rule(place=PLACES)
    def clean_up(self, place: int) -> None:
        self.sweeps -= 1
        self.world.begin_clean_up()
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

    def surprise(self) -> None:
        """Do what is most awkward for those who stand somewhere: they go on only after it."""
        if self.state is JobState.FAILED:
            self.world.begin_retry()
            self.world.run_out(-1)
        elif self.cancelled_in is JobState.PUBLISHING and self.is_publishing():
            self.world.deliver(self.world.publishes[-1])
            self.world.go_to(Place.PUBLISH)
            self.world.begin_cancel()
            self.world.run_out(-1)
        elif self.purges and self.world.deaths:
            self.world.purge()

    def is_publishing(self) -> bool:
        """Whether the job comes to be PUBLISHING when its chunks are delivered."""
        for index in sorted(self.world.unacked - set(self.world.publishes)):
            self.world.deliver(index)
            self.world.run_out(-1)
        return self.state is JobState.PUBLISHING and bool(self.world.publishes)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.surprise()
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
        work_up_to_publication(world)
        world.begin_cancel()
        world.run_out(-1)
        assert world.tracker.job(world.job).state is JobState.CANCELLED
        check_rest(world, effects=[])


def test_a_cancel_that_was_begun_before_publishing_leaves_no_output_either(module_cloud: Cloud) -> None:
    with begin(module_cloud, chunks=2) as world:
        world.begin_cancel()
        world.go_to(Place.MOVE)
        work_up_to_publication(world)
        world.run_out(0)
        assert world.tracker.job(world.job).state is JobState.CANCELLED
        check_rest(world, effects=[])


def test_resuming_heals_climbs_that_were_lost_with_their_messages(module_cloud: Cloud) -> None:
    with begin(module_cloud, chunks=4) as world:
        for index in range(4):
            world.deliver(index)
            world.go_to(Place.CLIMB)
            world.crash(-1)
        world.purge()
        check_rest(world, effects=[1])


def test_resuming_heals_a_leaf_that_was_filled_by_a_worker_which_told_nobody(module_cloud: Cloud) -> None:
    with begin(module_cloud, chunks=4) as world:
        world.deliver(0)
        world.run_out(-1)
        world.deliver(1)
        world.go_to(Place.CLIMB)
        # The leaf of chunks 0 and 1 is full after this step; the worker stands before the root.
        world.go_to(Place.CLIMB)
        world.crash(-1)
        world.purge()
        check_rest(world, effects=[1])


def fail(world: ModelWorld) -> None:
    """Score the first chunk, and give the others up."""
    for index in sorted(world.unacked):
        world.deliver(index, Fate.GIVEN_UP if index else Fate.FINE)
        world.run_out(-1)
    assert world.tracker.job(world.job).state is JobState.FAILED


def test_a_clean_up_that_was_about_to_begin_takes_nothing_of_a_job_that_is_retried(
    module_cloud: Cloud,
) -> None:
    with begin(module_cloud, chunks=2) as world:
        fail(world)
        world.begin_clean_up()
        world.go_to(Place.MOVE)
        world.begin_retry()
        world.run_out(-1)
        world.run_out(0)
        world.check_always()
        check_rest(world, effects=[2])


def test_a_retry_that_was_about_to_begin_is_refused_once_clean_up_has(module_cloud: Cloud) -> None:
    with begin(module_cloud, chunks=2) as world:
        fail(world)
        world.begin_retry()
        world.go_to(Place.MOVE)
        world.begin_clean_up()
        world.go_to(Place.DELETE)
        world.run_out(0)
        check_rest(world, effects=[])
        assert world.tracker.job(world.job).state is JobState.FAILED


def test_a_redrive_that_died_anywhere_has_lost_no_letter(module_cloud: Cloud) -> None:
    for place in (Place.RECEIVE, Place.SEND, Place.ACK, Place.END):
        with begin(module_cloud, chunks=2) as world:
            for index in sorted(world.unacked):
                world.bury(index)
            world.begin_redrive()
            world.go_to(place)
            if world.attempts:
                world.crash(-1)
            assert len(world.dead | world.unacked) >= 2
            check_rest(world, effects=[1])


def work_up_to_publication(world: ModelWorld) -> None:
    """Score all chunks, and let a publisher stand before the transaction that counts."""
    for index in sorted(world.unacked):
        world.deliver(index)
        world.run_out(-1)
    world.deliver(world.publishes[0])
    world.go_to(Place.PUBLISH)
    assert world.attempts[-1].before == Place.PUBLISH


def check_rest(world: ModelWorld, *, effects: list[int]) -> None:
    world.rest()
    world.check_rest()
    assert world.effects == effects


def test_publishing_has_one_effect_whatever_workers_operators_and_the_queue_do(module_cloud: Cloud) -> None:
    play(module_cloud, max_examples=36, stateful_step_count=25)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_the_same_holds_in_a_thousand_other_orders(module_cloud: Cloud) -> None:
    play(module_cloud, max_examples=1_000, stateful_step_count=50, derandomize=False)
