"""How long a message stays hidden after a failed attempt, by how many there were.

Jittered, so that a fleet does not return in step.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

#: The first retry is quick.
FIRST_SECONDS = 1.0
FACTOR = 4.0
LONGEST_SECONDS = 300.0
#: How soon at the latest a job asks again for its turn to publish: whoever has it may end at any moment.
TURN_SECONDS = 5
#: Twenty setbacks with such delays outlast a quarter of an hour.
LONGEST_SETBACK_SECONDS = 60.0
#: From this receive on, a message that is given back is sent afresh: the queue dead-letters after ten.
RENEW_AT_RECEIVE = 8


def backoff_seconds(attempt: int) -> int:
    """Give the delay after the ``attempt``-th attempt failed, in whole seconds as SQS wants it."""
    return _jittered(attempt, LONGEST_SECONDS)


def setback_seconds(setback: int) -> int:
    """Give the delay after the ``setback``-th setback, in whole seconds."""
    return _jittered(setback, LONGEST_SETBACK_SECONDS)


def _jittered(time: int, longest_seconds: float) -> int:
    ceiling = min(longest_seconds, FIRST_SECONDS * FACTOR ** min(time - 1, 20))
    return round(random.uniform(ceiling / 2, ceiling))  # noqa: S311  (jitter, no secret)


@dataclass
class Rest:
    """The pauses of a worker whose host fails what it takes: it would be the fastest consumer."""

    until: float = float("-inf")
    _in_a_row: int = 0

    def stumble(self, now: float) -> float:
        """Rest longer with every setback in a row, at most a minute; gives the seconds."""
        seconds = min(LONGEST_SETBACK_SECONDS, 2.0**self._in_a_row)
        self._in_a_row = min(self._in_a_row + 1, 10)
        self.until = max(self.until, now + seconds)
        return seconds

    def recover(self) -> None:
        """A chunk came to its end here: this host can work."""
        self._in_a_row = 0
        self.until = float("-inf")

    def is_on(self, now: float) -> bool:
        """Whether nothing is to be begun."""
        return now < self.until
