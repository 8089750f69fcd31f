"""Workers as the suite sees them: real processes of the worker's own command, on a host of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from tests.chaos import host
from tests.conftest import eventually

from skfleet.local.processes import MARK

#: Booting imports all of scikit-learn, on a machine that does other things as well.
READY_SECONDS = 60.0
ENDED = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


class Worker:
    """One worker and the folder that stands for its host: the bundles cached there outlive it."""

    def __init__(self, name: str, *, folder: Path, environment: Mapping[str, str], mark: str) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.log = folder / f"{name}.log"
        self.mark = mark
        self.clock = self.folder / "clock"
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0
        self._was_ready = False

    @property
    def cache(self) -> Path:
        """Its models and scratch."""
        return self.folder / "cache"

    @property
    def has_own_clock(self) -> bool:
        """Whether its supervisor's clock can be set."""
        return self.name.endswith("clockwork")

    def start(self) -> None:
        """Start it; it says by itself when it is ready."""
        host.set_clock(self.clock, 0.0)
        self._was_ready = False
        self._started_at = self.log.stat().st_size if self.log.exists() else 0
        own = {"SKFLEET_CACHE_DIR": str(self.cache), MARK: self.mark}
        if self.has_own_clock:
            own[host.VARIABLE] = str(self.clock)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.host", "run"],
                env=self._environment | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait for its scorer."""
        eventually(self.is_ready, within_seconds=READY_SECONDS)

    def is_ready(self) -> bool:
        """Whether a scorer of this process has said so."""
        assert self.is_alive, f"{self.name} ended while it was starting; see {self.log}"
        self._was_ready = self._was_ready or bool(self.said("scorer.ready", since=self._started_at))
        return self._was_ready

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor runs; one that is stopped counts."""
        return self._process is not None and self._process.poll() is None

    @property
    def supervisor(self) -> psutil.Process:
        """The supervisor's process."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def scorers(self) -> list[psutil.Process]:
        """The scoring processes: the children of the fork server."""
        found = []
        with suppress(psutil.NoSuchProcess):
            for child in self.supervisor.children():
                found += [grandchild for grandchild in child.children() if lives(grandchild)]
        return found

    def family(self) -> list[psutil.Process]:
        """All its processes that live."""
        if not self.is_alive:
            return []
        return [
            self.supervisor,
            *(child for child in self.supervisor.children(recursive=True) if lives(child)),
        ]

    def kill(self) -> None:
        """End the supervisor by SIGKILL; its scorers must notice by themselves."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def drain(self, *, within_seconds: float = 20.0) -> int:
        """End it by SIGTERM and give its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(within_seconds)

    def mark_in_log(self) -> int:
        """Give where the log ends now."""
        return self.log.stat().st_size if self.log.exists() else 0

    def said(self, event: str, *, since: int = 0) -> list[dict[str, Any]]:
        """Give the log's entries of one event from a place on."""
        return [entry for entry in self.entries(since=since) if entry["event"] == event]

    def entries(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Give the log's entries from a place on."""
        with self.log.open("rb") as file:
            file.seek(since)
            lines = file.read().decode(errors="replace").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]


def lives(process: psutil.Process) -> bool:
    """Whether a process runs or is stopped, and is not merely waiting to be reaped."""
    try:
        return process.is_running() and process.status() not in ENDED
    except psutil.NoSuchProcess:
        return False


def marked(token: str) -> list[psutil.Process]:
    """Give every living process that carries a stack's mark, whoever started it; never this one."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK, "").startswith(token):
                found.append(process)
    return [process for process in found if lives(process)]
