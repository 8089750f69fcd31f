"""One run of a scenario, from a settled place to the verdict."""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import dataclass, field

from tests.chaos import verdict
from tests.chaos.place import Place
from tests.chaos.scenarios import Scenario, drawn
from tests.chaos.trial import Trial, WentWrong

#: Log entries of each worker that a failure shows.
TAIL = 25


@dataclass
class Outcome:
    """What came of a run."""

    scenario: Scenario
    problems: list[str]
    seconds: float
    #: From the first fault to the job's right end.
    heal_seconds: float | None
    #: Faults that met something; the others proved nothing.
    hits: tuple[str, ...]
    timeline: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)

    @property
    def survived(self) -> bool:
        """Whether everything was as it must be."""
        return not self.problems

    def told(self) -> str:
        """Tell a person of a failure: seed, scenario, events, logs, and how to repeat it."""
        scenario = self.scenario
        return "\n".join(
            [
                f"seed {scenario.seed}, {scenario}",
                *(f"  problem: {problem}" for problem in self.problems),
                *(f"  {line}" for line in self.timeline),
                *(f"  {line}" for line in self.logs),
                f"  repeat it with: {repeat(scenario)}",
            ]
        )


def repeat(scenario: Scenario) -> str:
    """Give the one command that repeats a run."""
    python = os.path.relpath(sys.executable)
    command = f"{python} -m tests.chaos --seed {scenario.seed} --run {scenario.number}"
    if scenario == drawn(scenario.seed, scenario.number):
        return command
    return " ".join([command, *(f'--fault "{name}"' for name in scenario.faults)])


def play(scenario: Scenario, place: Place) -> Outcome:
    """Play a scenario on the place, and leave the place as it was."""
    began = time.monotonic()
    place.settle()
    place.wire.clear()
    faults, rng = scenario.make()
    trial = Trial(place, faults, rng=rng, name=f"r{scenario.seed}_{scenario.number}_{int(began * 1000)}")
    problems = []
    hits: tuple[str, ...] = ()
    trial.say(f"settled in {time.monotonic() - began:.2f} s")
    try:
        trial.play()
        hits = tuple(
            name for name, fault in zip(scenario.faults, faults, strict=True) if fault in trial.hits()
        )
        place.wire.clear()
        problems = verdict.problems(trial)
        if scenario.is_alone and not hits:
            problems.append("the fault met nothing, so the run proves nothing")
    except WentWrong as wrong:
        problems = [str(wrong)]
    except Exception as error:  # noqa: BLE001  (whatever it is, it is told with the seed, and the next run goes on)
        problems = [f"{type(error).__name__}: {error}", *traceback.format_exc().splitlines()]
    finally:
        ended = time.monotonic()
        restore(trial, failed=bool(problems))
    heal = trial.ended_at - trial.struck_at if trial.ended_at and trial.struck_at else None
    return Outcome(
        scenario=scenario,
        problems=problems,
        seconds=ended - began,
        heal_seconds=heal,
        hits=hits,
        timeline=trial.timeline,
        logs=_tails(trial) if problems else [],
    )


def restore(trial: Trial, *, failed: bool) -> None:
    """Leave nothing of a trial to the next one."""
    place = trial.place
    place.restore_servers()
    trial.mend()
    place.wire.clear()
    if failed:
        # Whatever still works on it must not meet the next trial.
        place.start_over()
    trial.clean_up()


def _tails(trial: Trial) -> list[str]:
    lines = []
    for worker in trial.place.workers:
        entries = worker.entries(since=trial.logs_from[worker.name])
        lines += [f"{worker.name}: {_short(entry)}" for entry in entries[-TAIL:]]
    return lines


def _short(entry: dict[str, object]) -> str:
    left = {
        name: value for name, value in entry.items() if name not in {"event", "timestamp", "level", "frames"}
    }
    return f"{str(entry.get('timestamp', ''))[11:23]} {entry['event']} {left}"
