"""A slice of the chaos suite: faults alone and a few mixtures, always the same ones."""

from __future__ import annotations

import pytest
from tests.chaos.place import Place
from tests.chaos.run import play
from tests.chaos.scenarios import FAULTS, Scenario

SEED = 3
#: Each kind of failing call on one service; `make chaos` plays them on all.
ONE_SERVICE = {
    "throttling": "DynamoDB",
    "5xx": "S3",
    "resets": "SQS",
    "replies cut in mid-body": "S3",
    "replies lost after the call was applied": "DynamoDB",
}
#: Slow, and close to another one that is played.
LEFT_OUT = {
    "publisher and its supervisor killed in mid-swap",
    "supervisor stopped past its lease",
    "PostgreSQL restarted in mid-swap",
    "bundle altered",
    "rows deleted ahead of the readers",
    "rows deleted ahead of the readers, on-drift warn",
}
MIXTURES = [
    ("scorer killed", "SQS: duplicates", "PostgreSQL restarted"),
    ("worker stopped past its lease", "DynamoDB: resets"),
    ("SQS: a stale receipt deletes", "publisher killed after its commit"),
]


def is_played(name: str) -> bool:
    """Whether a fault is part of the slice."""
    service, _, words = name.partition(": ")
    return name not in LEFT_OUT and ONE_SERVICE.get(words, service) == service


ALONE = [name for name in FAULTS if is_played(name)]


@pytest.mark.parametrize("fault", ALONE)
def test_a_job_comes_to_its_right_end_whatever_happens(chaos: Place, fault: str) -> None:
    outcome = play(Scenario(list(FAULTS).index(fault), SEED, (fault,)), chaos)
    assert outcome.survived, outcome.told()


@pytest.mark.parametrize("faults", MIXTURES, ids=" + ".join)
def test_a_job_comes_to_its_right_end_when_several_things_happen(
    chaos: Place, faults: tuple[str, ...]
) -> None:
    outcome = play(Scenario(len(FAULTS) + MIXTURES.index(faults), SEED, faults), chaos)
    assert outcome.survived, outcome.told()
