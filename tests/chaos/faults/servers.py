"""The servers: an emulator and a database that go away and come back, and sessions that they end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
from tests.chaos.fault import Fault
from tests.chaos.faults.swap import InSwap
from tests.chaos.trial import LOOK_SECONDS, Trial

from skfleet.local.state import load_state


def _stop(trial: Trial, part: str, number: signal.Signals) -> None:
    """End a part of the stack cleanly, behind the stack's back."""
    state = load_state(trial.place.state_folder)
    assert state is not None
    server = psutil.Process(state.processes[part].pid)
    server.send_signal(number)
    gone, _ = psutil.wait_procs([server], timeout=30)
    assert gone, f"{part} did not stop"


def _restart_postgres(trial: Trial, *, hold: Callable[[], bool]) -> None:
    """Restart the database; what a session of the suite's held is held again before anybody gets far."""
    _stop(trial, "postgres", signal.SIGINT)
    trial.say("the database is gone")
    with ThreadPoolExecutor(1) as threads:
        starting = threads.submit(trial.place.restore_servers)
        while not hold():
            if starting.done():
                starting.result()
            time.sleep(LOOK_SECONDS)
        starting.result()


class EmulatorRestarted(Fault):
    """All of AWS is gone for a moment; it keeps what it had."""

    def strike(self, trial: Trial) -> None:
        _stop(trial, "emulator", signal.SIGTERM)
        trial.say("the emulator is gone")
        trial.place.restore_servers()


class PostgresRestarted(Fault):
    """The warehouse restarts: every session ends, and for a moment nobody gets in."""

    def strike(self, trial: Trial) -> None:
        # Nobody must run through the gate to the end of the table meanwhile.
        _restart_postgres(trial, hold=trial.gate.shut_again)


class PostgresRestartedInSwap(InSwap):
    """The same, while a publication is in mid-swap."""

    def strike(self, trial: Trial) -> None:
        self.swap.wait_for_backend()
        _restart_postgres(trial, hold=self.swap.hold)


class ConnectionKilled(Fault):
    """A session that reads is terminated."""

    def strike(self, trial: Trial) -> None:
        trial.place.sql("SELECT pg_terminate_backend(%s)", trial.a_reader().backend)


class ConnectionKilledInSwap(InSwap):
    """The session that publishes is terminated in mid-swap."""

    def strike(self, trial: Trial) -> None:
        backend, _ = self.swap.wait_for_backend()
        trial.place.sql("SELECT pg_terminate_backend(%s)", backend)


class StatementTimedOut(Fault):
    """A read takes longer than a statement may: the gate stays shut until the server has ended it."""

    def strike(self, trial: Trial) -> None:
        trial.a_reader()
        trial.wait_for(
            lambda: [
                entry
                for entry in trial.said("attempt.failed")
                if "cancelled or took too long" in str(entry["reason"])
            ],
            "a statement times out",
        )
