"""A worker on a host whose clock the suite can set: ``python -m tests.chaos.clockwork``.

All else is the product's own. The offset is eight bytes in the file that ``CHAOS_CLOCK`` names; supervisor
and scorers read the same one, as processes of one host do.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path

from skfleet_worker import clock

VARIABLE = "CHAOS_CLOCK"
_OFFSET = struct.Struct("d")


def set_clock(path: Path, offset_seconds: float) -> None:
    """Let the clock that reads this file jump."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(_OFFSET.pack(offset_seconds))


def moved(real: Callable[[], float], path: Path) -> Callable[[], float]:
    """Give a clock, moved by what the file says."""
    with path.open("rb") as file:
        offset = mmap.mmap(file.fileno(), _OFFSET.size, prot=mmap.PROT_READ)
    return lambda: real() + float(_OFFSET.unpack(offset[: _OFFSET.size])[0])


def install() -> None:
    """Move the clock of this process, and of those that it forks, before anybody else has imported it."""
    clock.host_seconds = moved(clock.host_seconds, Path(os.environ[VARIABLE]))


def main() -> None:
    """Run the worker's own command by that clock."""
    install()
    from skfleet_worker import __main__, crew  # noqa: PLC0415  (after the clock is moved)

    # Scorers are not forked from this process, but from one that starts anew.
    crew.PRELOAD.insert(1, "tests.chaos.clockwork_scorer")
    __main__.main()


if __name__ == "__main__":
    main()
