"""A worker on a host as the suite wants it: ``python -m tests.chaos.host run``.

All else is the product's own. Its completion trees are narrow, so that even small jobs have several levels;
and where ``CHAOS_CLOCK`` names a file, its clock can be set: the offset is eight bytes in that file, and
supervisor and scorers read the same one, as processes of one host do.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path

from skfleet_common.contracts import tree

#: Members of a node of the completion tree; in production, it takes 200 chunks to fill one.
FAN_IN = 3
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


def narrow_trees() -> None:
    """Give trees a small fan-in, in this process: before the tracker's modules, which take it over."""
    tree.FAN_IN = FAN_IN


def install() -> None:
    """Set up this process, and those that it forks, before anybody else has imported what is changed."""
    narrow_trees()
    if path := os.environ.get(VARIABLE):
        from skfleet_worker import clock  # noqa: PLC0415  (after the trees are narrow)

        clock.host_seconds = moved(clock.host_seconds, Path(path))


def main() -> None:
    """Run the worker's own command there."""
    install()
    from skfleet_worker import __main__, crew  # noqa: PLC0415  (after it is set up)

    # Scorers are not forked from this process, but from one that starts anew.
    crew.PRELOAD.insert(1, "tests.chaos.host_scorer")
    __main__.main()


if __name__ == "__main__":
    main()
