"""A drain: when it begins, and until when what is in progress may go on."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from skfleet_worker.drain import MARGIN_SECONDS, Drain


@dataclass
class Clock:
    """A clock that the test moves."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_no_drain_leaves_all_the_time_there_is() -> None:
    drain = Drain(drain_seconds=90, clock=Clock())
    assert not drain.is_on
    assert drain.seconds_left() == float("inf")


def test_a_signal_leaves_the_set_time_and_a_second_one_none() -> None:
    clock = Clock()
    drain = Drain(drain_seconds=90, clock=clock)
    drain.on_signal()
    clock.now += 10
    assert (drain.seconds_left(), drain.is_hurried) == (80.0, False)
    drain.on_signal()
    assert (drain.seconds_left(), drain.is_hurried) == (0.0, True)


def test_a_signal_after_a_notice_is_the_first_one() -> None:
    drain = Drain(drain_seconds=90, clock=Clock())
    drain.on_interruption(None)
    drain.on_signal()
    assert (drain.seconds_left(), drain.is_hurried) == (90.0, False)


def test_a_notice_stands_in_place_of_the_usual_time_but_for_a_margin() -> None:
    drain = Drain(drain_seconds=90, clock=Clock())
    drain.on_interruption(120.0)
    assert drain.seconds_left() == 120.0 - MARGIN_SECONDS
    drain.on_interruption(3.0)
    assert drain.seconds_left() == 0.0


@given(
    drain_seconds=st.floats(0, 600),
    notices=st.lists(st.tuples(st.none() | st.floats(0, 120), st.floats(0, 60)), min_size=1),
)
def test_no_notice_lengthens_a_drain_and_each_is_met(
    drain_seconds: float, notices: list[tuple[float | None, float]]
) -> None:
    clock = Clock()
    drain = Drain(drain_seconds=drain_seconds, clock=clock)
    before = float("inf")
    for seconds, passes in notices:
        drain.on_interruption(seconds)
        assert drain.deadline is not None
        assert drain.deadline <= before
        assert drain.seconds_left() <= (drain_seconds if seconds is None else seconds) + 1e-6
        before = drain.deadline
        clock.now += passes
