"""What wakes the supervisor's main loop besides its scorers: threads and signals put events here."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, TypeVar

E = TypeVar("E")


class Inbox(Generic[E]):
    """A queue that ``multiprocessing.connection.wait`` can wait on; safe to fill from a signal handler."""

    def __init__(self) -> None:
        self._events: deque[E] = deque()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """Give what becomes readable when something was put in."""
        return self._reader

    def put(self, event: E) -> None:
        """Add an event and wake the loop."""
        self._events.append(event)
        # A pipe that is full holds wake-ups enough.
        with suppress(BlockingIOError):
            os.write(self._writer, b"\0")

    def take(self) -> Iterator[E]:
        """Give all events that are there, oldest first."""
        with suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass
        while self._events:
            yield self._events.popleft()
