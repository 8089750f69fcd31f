"""A scorer: the process that reads, scores and writes chunks, one at a time, until its supervisor is gone."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection

from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.settings import Settings
from skfleet_common.telemetry import configure_logs
from skfleet_worker.deadline import Deadline
from skfleet_worker.oom import go_first
from skfleet_worker.parentage import die_with_supervisor
from skfleet_worker.protocol import Assignment, Progress, Ready, Unfit


def serve(*, connection: Connection, deadline: Deadline, settings: Settings, worker: str, seat: int) -> None:
    """Do what comes down the pipe. The supervisor decides when to stop, by closing it or by SIGKILL."""
    die_with_supervisor()
    go_first()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    configure_logs(settings.log_level)
    # The supervisor imports this module too, for the function's name; the numeric modules it never needs.
    from skfleet_worker.attempt import carry_out  # noqa: PLC0415
    from skfleet_worker.bench import Workbench  # noqa: PLC0415

    def report(rows: int) -> None:
        # Without a lease, what comes next is for nothing.
        deadline.check()
        connection.send(Progress(rows=rows))

    try:
        bench = Workbench.set_up(
            settings, worker=worker, seat=seat, report=report, check_lease=deadline.check
        )
    except SkfleetError as exc:
        connection.send(Unfit(sentence=str(exc), exit_code=exc.exit_code, may_pass=exc.retryable))
        return
    connection.send(Ready(pid=os.getpid()))
    while True:
        try:
            assignment: Assignment = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(carry_out(assignment, bench))
