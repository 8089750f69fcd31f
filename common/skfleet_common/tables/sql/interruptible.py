"""Statements that may take minutes: who waits hears of it, and Ctrl-C cancels them in the warehouse."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg2.extensions

#: How often whoever waits hears that the statement still runs.
TICK_SECONDS = 0.2
#: How long a cancelled statement may take to end before its connection is left to itself.
CANCEL_SECONDS = 20.0


def run_interruptibly(
    connection: psycopg2.extensions.connection, run: Callable[[], None], *, alive: Callable[[], None]
) -> None:
    """Run a statement in another thread and wait for it; interrupted, cancel it and wait for its end.

    The driver's own call lets nothing in before the server has answered, Ctrl-C included.
    """
    errors: list[BaseException] = []

    def work() -> None:
        try:
            run()
        except BaseException as exc:  # noqa: BLE001  (it is raised again in the thread that waits)
            errors.append(exc)

    thread = threading.Thread(target=work, name="statement", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(TICK_SECONDS)
            alive()
    except BaseException:
        if thread.is_alive():
            connection.cancel()
            thread.join(CANCEL_SECONDS)
        raise
    if errors:
        raise errors[0]
