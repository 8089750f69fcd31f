"""One place for all trials that the ordinary tests play, and a line that says how many there were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tests.chaos.place import Place
from tests.chaos.run import Outcome
from tests.chaos.suite import warm_place


@dataclass
class Slice:
    """What was played of the chaos suite."""

    seed: int = 0
    outcomes: list[Outcome] = field(default_factory=list)


SLICE = pytest.StashKey[Slice]()


@pytest.fixture(scope="module")
def chaos() -> Iterator[Place]:
    """A place on which a job without any fault has gone well; idle ones would slow other tests down."""
    with warm_place() as place:
        yield place


@pytest.fixture
def chaos_slice(pytestconfig: pytest.Config) -> Slice:
    """What the summary tells."""
    return pytestconfig.stash.setdefault(SLICE, Slice())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how much of the suite was played."""
    played = config.stash.get(SLICE, None)
    if played is not None:
        faults = {name for outcome in played.outcomes for name in outcome.scenario.faults}
        seconds = sum(outcome.seconds for outcome in played.outcomes)
        terminalreporter.write_line(
            f"chaos: seed {played.seed}, {len(played.outcomes)} runs with {len(faults)} faults "
            f"in {seconds:.0f} s"
        )
