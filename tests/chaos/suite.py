"""Many runs on one place, one after the other, bounded in time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count, zip_longest

from tests.chaos.place import Place, new_place
from tests.chaos.run import Outcome, play
from tests.chaos.scenarios import FAULTS, Scenario, drawn

RUNS = 200


@contextmanager
def warm_place() -> Iterator[Place]:
    """Make a place on which a job without any fault has gone well."""
    with new_place() as place:
        calm = play(Scenario(number=0, seed=0, faults=()), place)
        assert calm.survived, calm.told()
        yield place


def taking_turns(seed: int) -> Iterator[Scenario]:
    """Give every fault alone, in an order of the seed's where families take turns, and then mixtures."""
    rng = random.Random(f"{seed}/turns")
    numbers = list(range(len(FAULTS)))
    rng.shuffle(numbers)
    families: dict[str, list[int]] = {}
    for number, name in ((number, list(FAULTS)[number]) for number in numbers):
        families.setdefault(FAULTS[name].__module__, []).append(number)
    for turn in zip_longest(*families.values()):
        yield from (drawn(seed, number) for number in turn if number is not None)
        # The last family is that of mixtures.
        yield drawn(seed, rng.randrange(len(FAULTS), RUNS))
    for number in count(RUNS):
        yield drawn(seed, number)


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
