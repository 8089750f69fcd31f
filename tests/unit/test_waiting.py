"""Waiting: faults that pass are told once and waited for; a bar that did not get to its end shows that."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console
from tests.contract.samples import CREATED, new_job

from skfleet.progress import Silent, Terminal
from skfleet.status import JobStatus
from skfleet.waiting import OUT_OF_REACH_SECONDS, Waiting
from skfleet_common.aws.faults import Unreachable
from skfleet_common.contracts.errors import EnvironmentFault, JobFailed, TryAgain, WaitTimedOut
from skfleet_common.contracts.states import JobState

RECORD = new_job(job="j", chunks=2, rows=20)


def status(state: JobState, rows_done: int) -> JobStatus:
    return JobStatus(
        job="j",
        state=state,
        run=1,
        model="m",
        digest="5f",
        table="t",
        output_table="o",
        rows=20,
        rows_done=rows_done,
        rows_scored=None,
        rows_rejected=None,
        chunks=2,
        chunks_done=0,
        chunks_failed=0,
        created_at=CREATED,
        finished_at=None,
        seconds=1.0,
        eta_seconds=None,
        reason="Chunk 1 failed." if state is JobState.FAILED else None,
    )


RUNNING = status(JobState.RUNNING, 5)
SUCCEEDED = status(JobState.SUCCEEDED, 20)


class Listener(Silent):
    """Hears the notes alone."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


class Wait:
    """Waits by a clock that moves when somebody sleeps."""

    def __init__(self, looks: Iterator[JobStatus | Exception], timeout_seconds: float | None = None) -> None:
        self.now = 0.0
        self.listener = Listener()
        self.looks = looks
        self.waiting = Waiting(
            RECORD, self.look, self.listener, timeout_seconds, lambda: self.now, self.sleep
        )

    def look(self) -> JobStatus:
        seen = next(self.looks)
        if isinstance(seen, Exception):
            raise seen
        return seen

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def always(seen: JobStatus | Exception, *before: JobStatus | Exception) -> Iterator[JobStatus | Exception]:
    yield from before
    while True:
        yield seen


def test_a_fault_that_passes_is_told_once_and_waited_for() -> None:
    faults = [TryAgain("AWS could not serve it."), Unreachable("Nobody answers."), TryAgain("A reset.")]
    wait = Wait(iter([RUNNING, *faults, RUNNING, SUCCEEDED]))
    assert wait.waiting.until_ended() == SUCCEEDED
    assert wait.listener.said == [
        "AWS could not serve it. The wait for job j goes on.",
        "Job j is in sight again.",
    ]


def test_a_fault_that_does_not_pass_ends_the_wait() -> None:
    with pytest.raises(EnvironmentFault, match="denies"):
        Wait(iter([RUNNING, EnvironmentFault("AWS denies it.")])).waiting.until_ended()


def test_a_fleet_that_stays_out_of_reach_ends_a_wait_without_a_time_out() -> None:
    wait = Wait(always(TryAgain("No."), RUNNING, TryAgain("No."), RUNNING))
    with pytest.raises(TryAgain):
        wait.waiting.until_ended()
    assert OUT_OF_REACH_SECONDS <= wait.now < OUT_OF_REACH_SECONDS + 20


def test_a_time_out_counts_whether_anybody_can_see_the_job_or_not() -> None:
    with pytest.raises(WaitTimedOut, match="cannot be seen after 700 seconds; wait again with"):
        Wait(always(Unreachable("Nobody."), RUNNING), timeout_seconds=700).waiting.until_ended()
    with pytest.raises(WaitTimedOut, match="still RUNNING after 7 seconds"):
        Wait(always(RUNNING), timeout_seconds=7).waiting.until_ended()


@contextmanager
def shown() -> Iterator[tuple[Terminal, io.StringIO]]:
    screen = io.StringIO()
    yield Terminal(Console(file=screen, width=200, force_terminal=False)), screen


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_the_bar_of_a_job_that_ended_without_output_stays_where_it_was(state: JobState) -> None:
    with shown() as (terminal, screen):
        looks = iter([status(state, 18)])
        waiting = Waiting(RECORD, lambda: next(looks), terminal, None, lambda: 0.0, lambda _: None)
        with pytest.raises(JobFailed, match=f"Job j {state}: "):
            waiting.until_ended()
    assert "18/20" in screen.getvalue()
    assert "✓" not in screen.getvalue()


def test_the_bar_of_a_step_with_nothing_to_do_says_so() -> None:
    with shown() as (terminal, screen), terminal.step("Reading dead letters", unit="messages"):
        pass
    assert "0/0 messages" in screen.getvalue()
    assert "✓" in screen.getvalue()
