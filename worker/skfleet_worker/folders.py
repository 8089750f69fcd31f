"""Folders: bundles, which all workers of a host share, and scratch, which is a scorer's own."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings

#: Only the worker's own user may read what was scored, or plant what is loaded.
_PRIVATE = 0o700

#: How often a lock is asked for again.
LOCK_POLL_SECONDS = 0.05


def cache_folder(settings: Settings) -> Path:
    """Give the host's cache folder, made when it is not there.

    Raises:
        EnvironmentFault: it cannot be made, or is another user's.
    """
    folder = settings.cache_dir or Path(tempfile.gettempdir()) / f"skfleet-{os.getuid()}"
    try:
        folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        owner = folder.stat().st_uid
    except OSError as exc:
        raise EnvironmentFault(
            f"The cache folder {folder} cannot be made ({exc.strerror}); set SKFLEET_CACHE_DIR."
        ) from exc
    if owner != os.getuid():
        raise EnvironmentFault(f"The cache folder {folder} is another user's; set SKFLEET_CACHE_DIR.")
    return folder


@contextmanager
def locked(path: Path, *, patience_seconds: float) -> Iterator[bool]:
    """Hold the lock that all processes of the host share; the kernel frees it when its holder dies.

    Gives False, without it, after ``patience_seconds``: its holder may be stopped for hours.
    """
    deadline = time.monotonic() + patience_seconds
    with path.open("a") as file:
        while not (is_ours := _try_lock(file)) and time.monotonic() < deadline:
            time.sleep(LOCK_POLL_SECONDS)
        yield is_ours


class Scratch:
    """A worker's scratch folder; it goes with the worker, or with the next one if the worker was killed."""

    def __init__(self, cache: Path, worker: str) -> None:
        self._all = cache / "scratch"
        self.folder = self._all / worker
        self._lock_file = self.folder / "lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, remove what dead workers left, and remove the folder at the end.

        Raises:
            EnvironmentFault: it cannot be made.
        """
        _make(self.folder)
        try:
            with locked(self._lock_file, patience_seconds=0):
                self._sweep()
                yield
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _sweep(self) -> None:
        for other in self._all.iterdir():
            if other != self.folder and _is_abandoned(other / "lock"):
                shutil.rmtree(other, ignore_errors=True)


def fresh_seat(cache: Path, worker: str, seat: int) -> Path:
    """Give a scorer's own empty folder; what the process before it left there is gone.

    Raises:
        EnvironmentFault: it cannot be made.
    """
    folder = cache / "scratch" / worker / f"scorer-{seat}"
    shutil.rmtree(folder, ignore_errors=True)
    _make(folder)
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    except OSError as exc:
        raise EnvironmentFault(
            f"The scratch folder {folder} cannot be made ({exc.strerror}); make room there, or set "
            "SKFLEET_CACHE_DIR."
        ) from exc


def _is_abandoned(lock_file: Path) -> bool:
    """Whether nobody holds the lock; a worker that is just being born has no lock file yet."""
    try:
        with lock_file.open("r+") as file:
            return _try_lock(file)
    except FileNotFoundError:
        return False


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
