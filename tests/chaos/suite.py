"""Many runs on one place, one after the other, bounded in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from tests.chaos.place import Place
from tests.chaos.run import Outcome, play
from tests.chaos.scenarios import Scenario


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
