"""The local workers: supervisors of the ordinary ``skfleet-worker run``, each in a session of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import psutil

from skfleet.local.home import StateFolder
from skfleet.local.processes import CREATED_TOLERANCE_SECONDS, Processes
from skfleet.local.status import WorkerState, WorkerStatus
from skfleet_common.contracts.errors import EnvironmentFault, UsageError
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.settings import PREFIX, Settings

_PART = "worker-"
#: Each scorer holds a database connection or two, and the server has 100.
MOST_WORKERS = 32
START_SECONDS = 120.0
#: A drain here need not save the work of a chunk: the queue is on the same machine.
DRAIN_SECONDS = 5.0
#: Beyond the drain, for leaving the tracker.
STOP_GRACE_SECONDS = 15.0
#: How long a drain may take when somebody pressed Ctrl-C.
HURRY_SECONDS = 3.0
#: One thread a scoring process; a process a core already fills the machine.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
#: Requests cost nothing here, and nobody likes to wait two minutes for the chunk of a worker that died.
_SHORT_LEASE = {"SKFLEET_LEASE_SECONDS": "30", "SKFLEET_HEARTBEAT_SECONDS": "10"}
#: Would lead a worker's own clients, or those of the model's code, away from the stack.
_UNWANTED = frozenset({"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN"})


class Workers:
    """The workers of one state folder."""

    def __init__(self, folder: StateFolder, processes: Processes, settings: Settings) -> None:
        self._folder = folder
        self._processes = processes
        self._settings = settings

    def recorded(self) -> list[str]:
        """Give the workers that were started and not stopped since, alive or not, by number."""
        parts = [part for part in self._processes.recorded() if part.startswith(_PART)]
        return sorted(parts, key=lambda part: int(part.removeprefix(_PART)))

    def scale(self, count: int, *, environment: Mapping[str, str]) -> None:
        """Keep the first ``count`` of them as they are, start what is missing, drain the others."""
        wanted = [f"{_PART}{number}" for number in range(1, count + 1)]
        alive = [part for part in self.recorded() if self._processes.find(part) is not None]
        self.stop([part for part in self.recorded() if part not in wanted or part not in alive])
        for part in wanted:
            if part not in alive:
                self._processes.start(
                    part,
                    [sys.executable, "-m", "skfleet_worker", "run"],
                    environment=self._environment(environment, count),
                    within=self._folder.cache,
                )

    def wait_until_announced(self, connected: Settings, on_ready: Callable[[int], None]) -> None:
        """Wait until each has written itself into the tracker: it is ready for work then.

        ``on_ready`` is told how many are. Raises EnvironmentFault if one ends, or not all are in time.
        """
        parts = self.recorded()
        if not parts:
            return
        from skfleet_common.aws.session import connect_cloud  # noqa: PLC0415  (boto3: a stack at rest needs none)

        tracker = connect_cloud(connected).tracker
        deadline = time.monotonic() + START_SECONDS
        while True:
            announced = tracker.workers()
            late = [part for part in parts if not self._is_ready(part, announced)]
            on_ready(len(parts) - len(late))
            if not late:
                return
            self._check(parts, late=late, deadline=deadline)
            time.sleep(0.1)

    def stop(self, parts: list[str] | None = None, *, hurry: bool = False) -> None:
        """Drain workers, all unless named, and kill what does not end in time."""
        drain = HURRY_SECONDS if hurry else self._drain_seconds() + STOP_GRACE_SECONDS
        self._processes.stop(self.recorded() if parts is None else parts, (signal.SIGTERM, drain))

    def status(self) -> tuple[WorkerStatus, ...]:
        """Give each worker with the scoring processes that it has right now."""
        found = []
        for part in self.recorded():
            process = self._processes.find(part)
            found.append(
                WorkerStatus(
                    worker=part,
                    supervisor_pid=self._processes.state.processes[part].pid,
                    scorer_pids=tuple(scoring_processes(process)) if process else (),
                    state=WorkerState.RUNNING if process else WorkerState.DEAD,
                )
            )
        return tuple(found)

    def _is_ready(self, part: str, announced: Sequence[WorkerPresence]) -> bool:
        """Whether the worker has announced itself, with all the scoring processes that it has."""
        record, supervisor = self._processes.state.processes[part], self._processes.find(part)
        scorers = set(scoring_processes(supervisor)) if supervisor else set()
        return bool(scorers) and any(
            presence.supervisor_pid == record.pid
            # One from before the process began is that of an earlier one with the same pid.
            and presence.seen_at.timestamp() >= record.created - CREATED_TOLERANCE_SECONDS
            and scorers <= set(presence.scorer_pids)
            for presence in announced
        )

    def _check(self, parts: list[str], *, late: list[str], deadline: float) -> None:
        for part in parts:
            if self._processes.find(part) is None:
                raise EnvironmentFault(
                    f"{part} ended while it was starting{self._last_words(part)}; "
                    f"its log {self._folder.log_of(part)} says more."
                )
        if time.monotonic() > deadline:
            raise EnvironmentFault(
                f"{late[0]} did not become ready within {START_SECONDS:.0f} s; "
                f"its log {self._folder.log_of(late[0])} says why."
            )

    def _last_words(self, part: str) -> str:
        """Give the sentence with which a worker ends when it knows what is wrong."""
        words = "skfleet-worker: "
        lines = self._folder.log_of(part).read_text(errors="replace").splitlines()
        return (
            f" ({lines[-1].removeprefix(words).rstrip('.')})" if lines and lines[-1].startswith(words) else ""
        )

    def _environment(self, stack: Mapping[str, str], count: int) -> dict[str, str]:
        """Give ours, with the settings that were given to this command, made to join the stack."""
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(PREFIX) and name not in _UNWANTED
        }
        given = {
            PREFIX + name.upper(): str(value)
            for name, value in self._settings.model_dump(include=self._settings.model_fields_set).items()
            if value is not None
        }
        local = {
            "SKFLEET_SCORERS": str(max(1, (psutil.cpu_count() or 1) // max(1, count))),
            "SKFLEET_POLL_SECONDS": "1",
            "SKFLEET_CARE_SECONDS": "5",
            "SKFLEET_DRAIN_SECONDS": f"{DRAIN_SECONDS:g}",
            "SKFLEET_CACHE_DIR": str(self._folder.cache),
        }
        if not {"lease_seconds", "heartbeat_seconds"} & self._settings.model_fields_set:
            local |= _SHORT_LEASE
        if self._settings.cache_dir is not None:
            given["SKFLEET_CACHE_DIR"] = str(self._settings.cache_dir.absolute())
        return {**ours, **_ONE_THREAD, **local, **given, **stack}

    def _drain_seconds(self) -> float:
        is_given = "drain_seconds" in self._settings.model_fields_set
        return self._settings.drain_seconds if is_given else DRAIN_SECONDS


def scoring_processes(supervisor: psutil.Process) -> list[int]:
    """Give the pids of a supervisor's scoring processes: those that its fork server made and that live.

    The operating system knows this at once, while the tracker learns it with the next heartbeat. The fork
    server itself and multiprocessing's resource tracker, which are children of the supervisor, do not score.
    """
    pids = []
    for helper in _children(supervisor):
        for child in _children(helper):
            with suppress(psutil.Error):
                if child.status() != psutil.STATUS_ZOMBIE:
                    pids.append(child.pid)
    return sorted(pids)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.Error:
        return []


def check_count(count: int) -> None:
    """Refuse a number of workers that cannot be.

    Raises:
        UsageError: it is negative, or more than the database has connections for.
    """
    if not 0 <= count <= MOST_WORKERS:
        raise UsageError(f"--workers {count} is not possible; give a number from 0 to {MOST_WORKERS}.")
