"""Drain: take no more work, finish or release what is held, exit 0."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Of a notice, this much is kept for giving back what was not finished.
MARGIN_SECONDS = 5.0


class Drain:
    """Whether a drain was asked for, and until when chunks in progress may go on."""

    def __init__(self, *, drain_seconds: float, clock: Callable[[], float]) -> None:
        self._drain_seconds = drain_seconds
        self._clock = clock
        self._signals = 0
        self.deadline: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether no more work is taken."""
        return self.deadline is not None

    @property
    def is_hurried(self) -> bool:
        """Whether somebody asked a second time: nothing is waited for any more."""
        return self._signals > 1

    def seconds_left(self) -> float:
        """Give how long what is in progress may still go on."""
        return float("inf") if self.deadline is None else self.deadline - self._clock()

    def on_signal(self) -> None:
        """Begin to drain; a second time, end at once."""
        self._signals += 1
        self._end_within(0.0 if self.is_hurried else self._drain_seconds)

    def on_interruption(self, seconds: float | None) -> None:
        """Begin to drain, or make haste: the host goes in ``seconds``, if anybody knows.

        A notice stands in place of the usual time: what fits into it may be finished.
        """
        self._end_within(self._drain_seconds if seconds is None else max(0.0, seconds - MARGIN_SECONDS))

    def _end_within(self, seconds: float) -> None:
        deadline = self._clock() + seconds
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)


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
