"""Drain: take no more work, finish or release what is held, exit 0."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Drain:
    """Whether a drain was asked for, and until when chunks in progress may go on."""

    def __init__(self, *, drain_seconds: float, clock: Callable[[], float]) -> None:
        self._drain_seconds = drain_seconds
        self._clock = clock
        self.deadline: float | None = None
        #: Asked for a second time: nothing is waited for any more.
        self.is_hurried = False

    @property
    def is_on(self) -> bool:
        """Whether no more work is taken."""
        return self.deadline is not None

    @property
    def is_over(self) -> bool:
        """Whether what is still in progress must be released now."""
        return self.deadline is not None and self._clock() >= self.deadline

    def request(self) -> None:
        """Begin to drain; a second time, end at once."""
        if self.deadline is None:
            self.deadline = self._clock() + self._drain_seconds
        else:
            self.deadline = self._clock()
            self.is_hurried = True


@contextmanager
def on_signals(request: Callable[[], None]) -> Iterator[None]:
    """Call ``request`` in the main thread on SIGTERM and SIGINT, until the context is left."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        request()

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
