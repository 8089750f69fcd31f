"""A worker whose supervisor reads a clock that the suite can set: ``python -m tests.chaos.clockwork``.

All else is the product's own; the offset is eight bytes in the file that ``CHAOS_CLOCK`` names.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

VARIABLE = "CHAOS_CLOCK"
_OFFSET = struct.Struct("d")


def set_clock(path: Path, offset_seconds: float) -> None:
    """Let the clock that reads this file jump."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(_OFFSET.pack(offset_seconds))


def clock_of(path: Path) -> Callable[[], float]:
    """Give the monotonic clock, moved by what the file says."""
    with path.open("rb") as file:
        offset = mmap.mmap(file.fileno(), _OFFSET.size, prot=mmap.PROT_READ)
    return lambda: time.monotonic() + float(_OFFSET.unpack(offset[: _OFFSET.size])[0])


def main() -> None:
    """Run the worker's own command with a supervisor that reads that clock."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    from skfleet_worker import command  # noqa: PLC0415  (after the environment is set)

    clock = clock_of(Path(os.environ.pop(VARIABLE)))
    command.Supervisor = partial(command.Supervisor, clock=clock)  # type: ignore[misc]
    command.app()


if __name__ == "__main__":
    main()
