"""``make chaos``: play the scenarios of a seed on a local stack, and report what was survived."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tests.chaos import report
from tests.chaos.run import Outcome
from tests.chaos.scenarios import FAULTS, Scenario, drawn
from tests.chaos.suite import RUNS, play_all, warm_place

#: The suite ends by then, with fewer runs on a slow machine.
MINUTES = 29.0
INTERRUPTED = 130
#: Where there is no bar: a line after so many runs.
LINE_RUNS = 10


@dataclass
class Screen:
    """What a person sees meanwhile: a bar, and every failure in full."""

    total: int
    verbose: bool
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw nothing yet."""
        self.console = Console(stderr=True)
        columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, TextColumn("{task.description}"), console=self.console)
        self._bar = self.progress.add_task("bringing up a local stack", total=self.total)

    @property
    def failed(self) -> int:
        """How many runs were not survived."""
        return sum(not outcome.survived for outcome in self.outcomes)

    def begin(self, scenario: Scenario) -> None:
        """Say which run is on."""
        self.progress.update(self._bar, description=f"{self.failed} failed; {scenario}")

    def end(self, outcome: Outcome) -> None:
        """Count a run, and tell of one that failed."""
        self.outcomes.append(outcome)
        self.progress.advance(self._bar)
        if not outcome.survived:
            self._print(outcome.told())
        elif self.verbose:
            hits = ", ".join(outcome.hits) or "nothing"
            self._print(f"{outcome.scenario}: {outcome.seconds:.1f} s, hit: {hits}")
            for entry in outcome.timeline:
                self._print(f"  {entry}")
        elif not self.console.is_terminal and len(self.outcomes) % LINE_RUNS == 0:
            self._print(f"{len(self.outcomes)} of {self.total} runs, {self.failed} failed")

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def main() -> int:
    """Give 0 if every run was survived."""
    words = _parsed()
    # Whatever ends the suite, the stack must not outlive it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scenarios = _scenarios(words)
    screen = Screen(len(scenarios), verbose=words.verbose)
    try:
        with screen.progress, warm_place() as place:
            small_disk = place.has_small_scratch
            for outcome in play_all(scenarios, place, seconds=words.minutes * 60, begun=screen.begin):
                screen.end(outcome)
    except KeyboardInterrupt:
        return INTERRUPTED
    text = report.table(screen.outcomes, seed=words.seed, small_disk=small_disk)
    if words.report:
        report.write(text)
    sys.stdout.write(text)
    missing = len(scenarios) - len(screen.outcomes)
    if missing:
        sys.stderr.write(f"{missing} runs did not fit into {words.minutes:g} minutes; raise --minutes.\n")
    return 1 if screen.failed or missing else 0


def _scenarios(words: argparse.Namespace) -> Sequence[Scenario]:
    numbers = words.run or range(words.runs or (1 if words.fault else RUNS))
    if words.fault:
        return [Scenario(number, words.seed, tuple(map(_fault, words.fault))) for number in numbers]
    return [drawn(words.seed, number) for number in numbers]


def _fault(text: str) -> str:
    found = [name for name in FAULTS if text.lower() in name.lower()]
    exact = [name for name in found if name.lower() == text.lower()]
    if len(exact or found) != 1:
        raise SystemExit(f"{text!r} names {len(found)} faults; the faults are: {'; '.join(FAULTS)}")
    return (exact or found)[0]


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    seed = os.environ.get("SKFLEET_CHAOS_SEED")
    parser.add_argument(
        "--seed",
        type=int,
        default=int(seed) if seed else secrets.randbelow(1_000_000),
        help="what everything random follows from; SKFLEET_CHAOS_SEED says it, too",
    )
    parser.add_argument("--runs", type=int, help=f"how many runs, {RUNS} by default")
    parser.add_argument("--run", type=int, action="append", help="only this run of the seed; may be repeated")
    parser.add_argument("--fault", action="append", help="play this fault instead; several are mixed")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="begin no run after so many minutes")
    parser.add_argument("--report", action="store_true", help="write the table into docs/reliability.md")
    parser.add_argument("--verbose", action="store_true", help="show what happened in every run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
