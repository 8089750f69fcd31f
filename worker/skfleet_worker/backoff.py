"""How long a message stays hidden after a failed attempt, by how many there were.

Jittered, so that a fleet does not return in step.
"""

from __future__ import annotations

import random

#: The first retry is quick; four of them together outlast a database's restart or failover.
FIRST_SECONDS = 1.0
FACTOR = 4.0
LONGEST_SECONDS = 300.0
#: How soon at the latest a job asks again for its turn to publish: whoever has it may end at any moment.
TURN_SECONDS = 5
#: From this receive on, a message that is given back is sent afresh: the queue dead-letters after ten.
RENEW_AT_RECEIVE = 8


def backoff_seconds(attempt: int) -> int:
    """Give the delay after the ``attempt``-th attempt failed, in whole seconds as SQS wants it."""
    ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * FACTOR ** min(attempt - 1, 20))
    return round(random.uniform(ceiling / 2, ceiling))  # noqa: S311  (jitter, no secret)
