"""The kernel's out-of-memory killer: whom it takes first, and how often it has.

Its count is the one witness that a process was killed for its memory; an exit code tells only that it was
killed. Version 2 of cgroups counts in ``memory.events``, version 1 in ``memory.oom_control`` (kernel
documentation, cgroup-v2 and cgroup-v1/memory).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: Added to what the kernel thinks of a process's size, in thousandths of all memory (proc(5)).
FIRST = 500

_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def go_first(proc: Path = Path("/proc/self")) -> None:
    """Let the kernel take this process rather than the one that owns the queue."""
    with suppress(OSError):
        (proc / "oom_score_adj").write_text(str(FIRST))


class OomKills:
    """The counter of one process's memory cgroup, which its children share."""

    def __init__(self, *, proc: Path = Path("/proc/self"), root: Path = Path("/sys/fs/cgroup")) -> None:
        self._file = next((file for file in _candidates(proc, root) if _read(file) is not None), None)

    def count(self) -> int | None:
        """Give how often the kernel has killed in this cgroup; None when it does not tell."""
        return None if self._file is None else _read(self._file)


def _candidates(proc: Path, root: Path) -> Iterator[Path]:
    try:
        lines = (proc / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folder, name = root, "memory.events"
        elif "memory" in controllers.split(","):
            folder, name = root / "memory", "memory.oom_control"
        else:
            continue
        yield folder / path.lstrip("/") / name
        # In a container the cgroup may be mounted as if it were the root, under a path of the host's.
        yield folder / name


def _read(file: Path) -> int | None:
    try:
        found = _KILLS.search(file.read_text())
    except OSError:
        return None
    return int(found[1]) if found else None
