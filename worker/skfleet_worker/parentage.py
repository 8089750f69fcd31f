"""A scorer never outlives its supervisor, not even when the supervisor is killed or the scorer is stopped.

Scorers are children of the fork server, which is a child of the supervisor. On Linux the kernel passes
the death on: supervisor → fork server → scorers, by PR_SET_PDEATHSIG (prctl(2)), which also ends a
process that is stopped or deep in C code. Elsewhere a thread in the scorer watches the supervisor.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait

#: linux/prctl.h
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux; else nothing)."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def die_with_supervisor() -> None:
    """Called by a scorer: tie its life to the fork server's and to the supervisor's."""
    fork_server = os.getppid()
    die_with_parent()
    supervisor = multiprocessing.parent_process()
    # The parents may have died before the kernel was asked: nobody would be told then.
    if supervisor is None or os.getppid() != fork_server or wait([supervisor.sentinel], timeout=0):
        os._exit(1)
    threading.Thread(
        target=_exit_after, args=(supervisor.sentinel,), name="supervisor-watch", daemon=True
    ).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
