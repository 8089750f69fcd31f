"""The stack's processes: started in sessions of their own, written down, found again, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from skfleet.local.account import Account
from skfleet.local.home import StateFolder
from skfleet.local.interrupts import Interrupts
from skfleet.local.state import StackState, StartedProcess, load_state, write_private

#: Names the stack and the part in the environment of all their processes. Not a setting, hence no prefix.
MARK = "STACK_OF_SKFLEET"
#: psutil derives start times from the boot time, which follows the clock when that is set.
CREATED_TOLERANCE_SECONDS = 2.0
LOG_BYTES = 5 * 1024 * 1024

#: Children of this very process: kept so that they are reaped when they end.
_children: list[subprocess.Popen[bytes]] = []


class Processes:
    """What runs in one state folder, part by part (``postgres``, ``emulator``, ``worker-1`` …).

    Every change is saved at once: whatever ends this command, the next one knows.
    """

    def __init__(self, folder: StateFolder, interrupts: Interrupts) -> None:
        self._folder = folder
        self._interrupts = interrupts
        self.state = load_state(folder) or StackState.new(folder)
        #: Parts that were started through this object, in order.
        self.started: list[str] = []

    def update(self, **changes: object) -> None:
        """Change the state, and save it."""
        self.state = self.state.model_copy(update=changes)
        write_private(self._folder.state_file, self.state.to_json())

    def recorded(self) -> list[str]:
        """Give the parts that were started and not stopped since, alive or not."""
        return list(self.state.processes)

    def find(self, part: str) -> psutil.Process | None:
        """Give the living process of a part; never one that merely has its pid."""
        record = self.state.processes.get(part)
        return None if record is None else _find(record, self.state.token)

    def start(
        self,
        part: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        within: Path,
        account: Account | None = None,
    ) -> None:
        """Start a part in its own session, its output in its log, without a terminal or input."""
        log = self._open_log(part)
        try:
            with self._interrupts.held():
                child = subprocess.Popen(  # noqa: S603  (our own programs, by absolute path)
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=within,
                    env=self.marked(part, environment),
                    start_new_session=True,
                    **(account.identity if account else {}),
                )
                _children.append(child)
                self.started.append(part)
                record = StartedProcess(pid=child.pid, created=psutil.Process(child.pid).create_time())
                self.update(processes={**self.state.processes, part: record})
        finally:
            os.close(log)

    def stop(self, parts: Sequence[str], *signals: tuple[signal.Signals, float]) -> None:
        """Send each signal to all the parts and wait its seconds, as far as needed; then kill the rest."""
        waiting = {part: process for part in parts if (process := self.find(part)) is not None}
        for number, patience_seconds in (*signals, (signal.SIGKILL, 10.0)):
            for process in waiting.values():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            deadline = time.monotonic() + patience_seconds
            while waiting and time.monotonic() < deadline:
                waiting = {part: process for part, process in waiting.items() if _lives(process)}
                time.sleep(0.02)
        for part in parts:
            self.kill_remains(part)
        # A full disk keeps nothing running; the record of a dead process does no harm.
        with suppress(OSError):
            self.update(
                processes={name: it for name, it in self.state.processes.items() if name not in parts}
            )

    def kill_remains(self, part: str | None = None) -> None:
        """Kill every process that carries the mark of the part, or of the whole stack."""
        deadline = time.monotonic() + 10.0
        while (remains := self._marked_processes(part)) and time.monotonic() < deadline:
            for process in remains:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.02)

    def marked(self, part: str, environment: Mapping[str, str]) -> dict[str, str]:
        """Give the environment with the mark of the part."""
        return {**environment, MARK: f"{self.state.token}:{part}"}

    def _marked_processes(self, part: str | None) -> list[psutil.Process]:
        prefix = self.state.token + (f":{part}" if part else "")
        found = []
        for process in psutil.process_iter():
            mark = _environment(process).get(MARK, "")
            if process.pid != os.getpid() and (mark == prefix if part else mark.startswith(prefix)):
                found.append(process)
        return [process for process in found if _lives(process)]

    def _open_log(self, part: str) -> int:
        path = self._folder.log_of(part)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def is_alive(record: StartedProcess, token: str) -> bool:
    """Whether the very process that was started still runs."""
    return _find(record, token) is not None


def _find(record: StartedProcess, token: str) -> psutil.Process | None:
    try:
        process = psutil.Process(record.pid)
        is_it = abs(process.create_time() - record.created) <= CREATED_TOLERANCE_SECONDS
    except psutil.Error:
        return None
    environment = _environment(process)
    if environment and not environment.get(MARK, "").startswith(token):
        return None
    return process if is_it and _lives(process) else None


def _environment(process: psutil.Process) -> dict[str, str]:
    """Give the environment that the process was started with; nothing if we may not know it."""
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _lives(process: psutil.Process) -> bool:
    for child in _children:
        child.poll()
    _children[:] = [child for child in _children if child.returncode is None]
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
