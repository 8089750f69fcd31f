"""Cores: how many scorers can work at once."""

from __future__ import annotations

import os


def cores() -> int:
    """Give the cores that this process may use, where the system tells; else those of the host."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
