"""The clock of leases: one for all processes of a host, which people and time servers never move."""

from __future__ import annotations

import sys
import time


def host_seconds() -> float:
    """Give the seconds since the host booted.

    On Linux they include the time in which the host was suspended, as a spot instance may be: leases
    run out meanwhile, which ``time.monotonic`` would not show.
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
