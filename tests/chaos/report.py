"""The report: a table of what was survived, written into docs/reliability.md between two marks."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.run import Outcome
from tests.chaos.scenarios import FAULTS

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_MARKS = re.compile(r"(<!-- chaos: .*? -->\n).*?(<!-- end of chaos -->)", re.DOTALL)


def table(outcomes: Sequence[Outcome], *, seed: int, small_disk: bool) -> str:
    """Give the table: a line a fault, alone or in a mixture, where it met something."""
    survived = sum(outcome.survived for outcome in outcomes)
    minutes = sum(outcome.seconds for outcome in outcomes) / 60
    alone = sum(outcome.scenario.is_alone for outcome in outcomes)
    lines = [
        f"Seed {seed}: {len(outcomes)} runs in {minutes:.0f} minutes, {alone} with one fault and "
        f"{len(outcomes) - alone} with two or three; **{survived} of {len(outcomes)} survived**. "
        + ("The full disk was a tmpfs." if small_disk else "The full disk was a limit on the size of files."),
        "",
        "| fault | runs | survived | seconds to heal, median |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in FAULTS:
        hit = [outcome for outcome in outcomes if name in outcome.scenario.faults and _counts(outcome, name)]
        if not hit:
            continue
        # How long a mixture takes is not this fault's doing.
        healed = [o.heal_seconds for o in hit if o.heal_seconds is not None and o.scenario.is_alone]
        median = f"{statistics.median(healed):.1f}" if healed else ""
        lines.append(f"| {name} | {len(hit)} | {sum(o.survived for o in hit)} | {median} |")
    return "\n".join(lines) + "\n"


def write(text: str) -> None:
    """Put the table where the marks are."""
    page = PAGE.read_text("utf-8")
    PAGE.write_text(_MARKS.sub(lambda found: found[1] + text + found[2], page), "utf-8")


def _counts(outcome: Outcome, name: str) -> bool:
    return name in outcome.hits or not outcome.survived
