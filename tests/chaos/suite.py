"""Many runs on one place, one after the other, bounded in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tests.chaos.place import Place, new_place
from tests.chaos.run import Outcome, play
from tests.chaos.scenarios import Scenario


@contextmanager
def warm_place() -> Iterator[Place]:
    """Make a place on which a job without any fault has gone well."""
    with new_place() as place:
        calm = play(Scenario(number=0, seed=0, faults=()), place)
        assert calm.survived, calm.told()
        yield place


def play_all(
    scenarios: Iterable[Scenario],
    place: Place,
    *,
    seconds: float,
    begun: Callable[[Scenario], None] = lambda _scenario: None,
) -> Iterator[Outcome]:
    """Play scenarios until they or the seconds are used up; ``begun`` is told of each before it runs."""
    deadline = time.monotonic() + seconds
    for scenario in scenarios:
        if time.monotonic() > deadline:
            return
        begun(scenario)
        yield play(scenario, place)
