"""Read-ahead: the next batch is read while this one is scored, and never more than that."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

#: Batches that are read but not yet asked for. One keeps both sides busy; more is only memory.
DEPTH = 1


class ReadAhead(AbstractContextManager["ReadAhead[T]"], Generic[T]):
    """Runs an iterator in a thread of its own; leaving the context ends both."""

    def __init__(self, source: Iterator[T]) -> None:
        self._source = source
        self._batches: queue.Queue[T | _End] = queue.Queue(maxsize=DEPTH)
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        #: Seconds that the source took; complete when the iteration has ended.
        self.seconds = 0.0

    def __enter__(self) -> ReadAhead[T]:
        """Begin to read."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the source close what it has open, and wait for that."""
        self._abandoned.set()
        while self._thread.is_alive():
            try:
                self._batches.get(timeout=0.05)
            except queue.Empty:
                self._thread.join(timeout=0.05)

    def __iter__(self) -> Iterator[T]:
        """Give the batches; an error of the source is raised here."""
        while not isinstance(item := self._batches.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._read()
        except BaseException as exc:  # noqa: BLE001  (it is raised again in the thread that iterates)
            error = exc
        self._batches.put(_End(error))

    def _read(self) -> None:
        try:
            while not self._abandoned.is_set():
                began = time.perf_counter()
                try:
                    batch = next(self._source)
                except StopIteration:
                    return
                finally:
                    self.seconds += time.perf_counter() - began
                self._batches.put(batch)
        finally:
            # A generator closes its cursor and connection here, in the thread that opened them.
            close = getattr(self._source, "close", None)
            if close is not None:
                close()


class _End:
    """The last item: the source has ended, by itself or by an error."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
