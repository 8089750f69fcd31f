"""Memory: what a training frame will take, against what this host has to give."""

from __future__ import annotations

from pathlib import Path

import psutil

from skfleet_common.contracts.errors import Refused

#: The cgroup that this process lives in, as a container sees it (version 2).
_CGROUP = Path("/sys/fs/cgroup")

#: A fit holds the feature array, and the part of it that its twin for the metrics learns.
_ARRAYS_OF_A_FIT = 2


def available_bytes() -> int:
    """Give the memory that may still be taken here: of the host, or of the container where that is less."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = (_CGROUP / "memory.max").read_text("ascii").strip()
        used = int((_CGROUP / "memory.current").read_text("ascii"))
    except (OSError, ValueError):
        return free
    return min(free, max(0, int(limit) - used)) if limit.isdecimal() else free


def needed_bytes(rows: int, columns: int, *, table_bytes: float) -> float:
    """Give what reading and fitting will take at least: the rows as read, and feature arrays of float64."""
    return table_bytes + rows * columns * 8 * _ARRAYS_OF_A_FIT


def refuse_too_large(label: str, needed: float, *, rows: int, remedy: str) -> None:
    """Refuse rows that would not fit, before or while they are read."""
    available = available_bytes()
    if needed > available:
        raise Refused(
            f"{label} would take about {needed / 1e9:,.1f} GB in memory ({rows:,} rows), and "
            f"{available / 1e9:,.1f} GB are free here; learn from part of it ({remedy}), or leave columns "
            "out with --exclude."
        )
