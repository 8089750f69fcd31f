"""A pulse: tells whoever watches a process that it waits for a statement, and is not stuck."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from skfleet_common.contracts.errors import SkfleetError

#: Well below the shortest sensible allowance of a scorer.
PULSE_SECONDS = 1.0


@contextmanager
def pulse(alive: Callable[[], None]) -> Iterator[None]:
    """Call ``alive`` about once a second, from a thread, while the block runs.

    The block must do nothing but wait for statements, each of which the server ends after the statement
    timeout: so a pulse never outlives its reason. ``alive`` is not called any more once the block has ended,
    nor once it has raised one of our errors, for then nobody watches any more: the ledger sees to the rest.
    """
    is_done = threading.Event()

    def beat() -> None:
        with suppress(SkfleetError):
            while not is_done.wait(PULSE_SECONDS):
                alive()

    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()
