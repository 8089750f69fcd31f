"""Read-ahead: the same batches in the same order, never many at a time, and nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_worker.readahead import DEPTH, ReadAhead


class Source:
    """Counts to ``stop``, fails there if it should, and knows what became of it."""

    def __init__(self, stop: int, *, fails: bool = False) -> None:
        self.stop = stop
        self.fails = fails
        self.given = 0
        self.closed_in: threading.Thread | None = None

    def batches(self) -> Iterator[int]:
        try:
            while self.given < self.stop:
                self.given += 1
                yield self.given
            if self.fails:
                raise ConnectionResetError
        finally:
            self.closed_in = threading.current_thread()


@given(count=st.integers(0, 30))
def test_every_batch_arrives_once_and_in_order(count: int) -> None:
    with ReadAhead(Source(count).batches()) as reading:
        assert list(reading) == list(range(1, count + 1))


@given(count=st.integers(0, 5))
def test_an_error_arrives_after_the_batches_before_it(count: int) -> None:
    seen = []
    with ReadAhead(Source(count, fails=True).batches()) as reading, pytest.raises(ConnectionResetError):
        seen.extend(reading)
    assert len(seen) <= count


@given(taken=st.integers(1, 10))
def test_the_source_is_at_most_one_batch_ahead_of_what_waits(taken: int) -> None:
    source = Source(100)
    with ReadAhead(source.batches()) as reading:
        for number in reading:
            # One that is being scored, those that wait, and one that is just being read.
            assert source.given <= number + DEPTH + 1
            if number == taken:
                break


def test_leaving_early_closes_the_source_in_the_thread_that_read_it() -> None:
    source = Source(1_000_000)
    with ReadAhead(source.batches()) as reading:
        next(iter(reading))
    assert source.closed_in is not None
    assert source.closed_in is not threading.current_thread()
    assert not source.closed_in.is_alive()
