"""``make chaos``: play the scenarios of a seed on a local stack, and report what was survived."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tests.chaos import report
from tests.chaos.run import Outcome
from tests.chaos.scenarios import FAULTS, Scenario, scenario
from tests.chaos.suite import play_all, warm_place

RUNS = 200
#: The suite ends by then, with fewer runs on a slow machine.
MINUTES = 29.0


def main() -> int:
    """Give 0 if every run was survived."""
    words = _parsed()
    console = Console(stderr=True)
    scenarios = _scenarios(words)
    outcomes: list[Outcome] = []
    with warm_place() as place, _progress(console) as progress:
        bar = progress.add_task("starting", total=len(scenarios))
        playing = play_all(
            scenarios,
            place,
            seconds=words.minutes * 60,
            begun=lambda it: progress.update(bar, description=f"{len(_failed(outcomes))} failed; {it}"),
        )
        for outcome in playing:
            outcomes.append(outcome)
            progress.advance(bar)
            if not outcome.survived:
                console.print(outcome.told(), markup=False, highlight=False, soft_wrap=True)
            elif words.verbose:
                line = f"{outcome.scenario}: {outcome.seconds:.1f} s, hit: {', '.join(outcome.hits) or 'nothing'}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
                for entry in outcome.timeline:
                    console.print(f"  {entry}", markup=False, highlight=False, soft_wrap=True)
        text = report.table(outcomes, seed=words.seed, small_disk=place.has_small_scratch)
    if words.report:
        report.write(text)
    sys.stdout.write(text)
    too_few = len(outcomes) < len(scenarios)
    if too_few:
        console.print(f"Only {len(outcomes)} of {len(scenarios)} runs fitted into {words.minutes:g} minutes.")
    return 1 if _failed(outcomes) or too_few else 0


def _failed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if not outcome.survived]


def _scenarios(words: argparse.Namespace) -> list[Scenario]:
    if words.fault:
        names = [_fault(text) for text in words.fault]
        return [Scenario(number, words.seed, tuple(names)) for number in range(words.runs or 1)]
    numbers = words.run or range(words.runs or RUNS)
    return [scenario(words.seed, number) for number in numbers]


def _fault(text: str) -> str:
    found = [name for name in FAULTS if text.lower() in name.lower()]
    exact = [name for name in found if name.lower() == text.lower()]
    if len(exact or found) != 1:
        raise SystemExit(f"{text!r} names {len(found)} faults; the faults are: {', '.join(FAULTS)}")
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
    parser.add_argument("--run", type=int, action="append", help="repeat this run of the seed alone; several may be named")
    parser.add_argument("--fault", action="append", help="play this fault instead; several are mixed")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="begin no run after so many minutes")
    parser.add_argument("--report", action="store_true", help="write the table into docs/reliability.md")
    parser.add_argument("--verbose", action="store_true", help="show what happened in every run")
    return parser.parse_args()


def _progress(console: Console) -> Progress:
    return Progress(
        BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"),
        console=console,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
