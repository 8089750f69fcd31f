"""A slice of the chaos suite, bounded in time: another one each day, so that every family has its turn."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from tests.chaos.conftest import Slice
from tests.chaos.place import Place
from tests.chaos.suite import play_all, taking_turns

#: No run is begun after this; with the place to be made and the last run to end, two minutes in all.
SECONDS = 100.0


@pytest.mark.timeout(400)
def test_jobs_come_to_their_right_end_whatever_happens(chaos: Place, chaos_slice: Slice) -> None:
    chaos_slice.seed = int(os.environ.get("SKFLEET_CHAOS_SEED") or f"{datetime.now(UTC):%Y%m%d}")
    for outcome in play_all(taking_turns(chaos_slice.seed), chaos, seconds=SECONDS):
        chaos_slice.outcomes.append(outcome)
        # The first one says enough: the seed, the faults, and the command that repeats it.
        assert outcome.survived, outcome.told()
