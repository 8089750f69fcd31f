"""Lives: what may happen to a job in a simulated fleet, drawn by Hypothesis and played through."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path

from hypothesis import strategies as st
from tests.contract.samples import new_job
from tests.contract.simulated_fleet import World

from skfleet.cancellation import UNPUBLISHED
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.states import JobState

#: What happens next, and to which message or attempt (modulo how many there are).
ACTIONS = st.tuples(
    st.sampled_from(["deliver", "deliver", "redeliver", "step", "step", "step", "step", "crash", "retry"]),
    st.integers(0, 1_000),
)
CANCELS = st.tuples(st.just("cancel"), st.integers(0, 1_000))
SCHEDULES = st.tuples(
    st.lists(ACTIONS, max_size=40), st.lists(CANCELS, max_size=1), st.lists(ACTIONS, max_size=10)
).map(lambda parts: [*parts[0], *parts[1], *parts[2]])
UNCANCELLED = st.lists(ACTIONS, max_size=40)


@dataclass(frozen=True)
class Life:
    """What happens to a job: a schedule, then as many more disruptions until the fleet comes to rest."""

    schedule: list[tuple[str, int]]
    chunks: int
    fan_in: int = 2
    failure_rate: float = 0.0
    seed: int = 0
    disruptions: int = 0


LIVES = st.builds(
    Life,
    schedule=st.one_of(UNCANCELLED, SCHEDULES),
    chunks=st.integers(1, 12),
    fan_in=st.sampled_from([2, 3, 5]),
    failure_rate=st.sampled_from([0.0, 0.2, 0.6]),
    seed=st.integers(0, 2**16),
    disruptions=st.sampled_from([0, 5, 20]),
)


@contextmanager
def begin(cloud: Cloud, life: Life) -> Iterator[World]:
    """Submit a job of its own, with a tree of the life's fan-in."""
    with tempfile.TemporaryDirectory() as scratch:
        world = World(
            cloud=changed(cloud, tracker=changed(cloud.tracker, fan_in=life.fan_in)),
            scratch=Path(scratch),
            job=new_job().job,
            chunks=life.chunks,
            chance=random.Random(life.seed),  # noqa: S311  (a schedule, not a secret)
            failure_rate=life.failure_rate,
        )
        world.submit()
        try:
            yield world
        finally:
            world.close()


def live(cloud: Cloud, life: Life) -> World:
    """Play a life through, let the fleet come to rest, and check how the job ended."""
    with begin(cloud, life) as world:
        for action, number in life.schedule:
            play(world, action, number)
        world.finish(disruptions=life.disruptions)
        world.check_end()
        return world


def play(world: World, action: str, number: int) -> None:
    """Do one action of a schedule, if there is anything to do it to."""
    if action == "deliver" and world.unacked:
        world.deliver(sorted(world.unacked)[number % len(world.unacked)])
    elif action == "redeliver":
        world.deliver(number % len(world.sent))
    elif action == "step" and world.attempts:
        world.step(number % len(world.attempts), steps=1 + number // 13 % 6)
    elif action == "crash" and world.attempts:
        world.crash(number % len(world.attempts))
    elif action == "retry":
        world.retry()
    elif action == "cancel":
        world.tracker.move(
            world.job,
            JobState.CANCELLED,
            run=world.tracker.job(world.job).run,
            only_from=UNPUBLISHED,
        )
