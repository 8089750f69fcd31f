"""What every kind of test shares."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, settings

T = TypeVar("T")

# A run in the background or under nohup ignores these, and so would every process that a test starts
# and interrupts; what is handled or at its default here is at its default there.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# One profile everywhere: the same examples on every machine, and no deadline on a noisy one.
settings.register_profile(
    "skfleet", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("skfleet")


def eventually(look: Callable[[], T], *, within_seconds: float = 30.0, every_seconds: float = 0.05) -> T:
    """Give what ``look`` gives as soon as it is true; fail with its last value after ``within_seconds``."""
    deadline = time.monotonic() + within_seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"still {seen!r} after {within_seconds} seconds"
        time.sleep(every_seconds)
