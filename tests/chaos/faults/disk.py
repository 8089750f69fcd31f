"""The disk of a worker's scratch, full."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import psutil
from tests.chaos.fault import Fault
from tests.chaos.trial import Trial

#: What no file of a worker's can stay under, where no small file system could be mounted.
MOST_BYTES = 64


class DiskFull(Fault):
    """No more can be written to the scratch of a worker, until somebody makes room.

    As root, its scratch is a tmpfs of a few megabytes, which is filled. Otherwise the scorers' files are
    limited to a few bytes (RLIMIT_FSIZE), which fails the same writes with another errno.
    """

    def strike(self, trial: Trial) -> None:
        self.ballast: list[Path] = []
        self.limited: list[psutil.Process] = []
        self.began = len(trial.said("attempt.failed"))
        for worker in trial.place.workers:
            if trial.place.has_small_scratch:
                self.ballast.append(_fill(worker.cache / "scratch"))
            else:
                for scorer in worker.scorers():
                    scorer.rlimit(psutil.RLIMIT_FSIZE, (MOST_BYTES, resource.RLIM_INFINITY))
                    self.limited.append(scorer)

    def is_over(self, trial: Trial) -> bool:
        return len(trial.said("attempt.failed")) > self.began

    def mend(self, trial: Trial) -> None:
        self.met = self.is_over(trial)
        for file in self.ballast:
            file.unlink(missing_ok=True)
        for scorer in self.limited:
            if scorer.is_running():
                scorer.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def has_hit(self, trial: Trial) -> bool:
        return self.is_over(trial)


def _fill(folder: Path) -> Path:
    file = folder / "ballast"
    with file.open("wb", buffering=0) as sink:
        try:
            while True:
                sink.write(bytes(os.sysconf("SC_PAGE_SIZE")))
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise
    return file
