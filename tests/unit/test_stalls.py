"""Stalls: how long a job is quiet, who holds what is left, and when people are told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.samples import CREATED, new_job, new_presence

from skfleet.stalls import StallNotes, words
from skfleet.status import JobStatus
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.stalls import Straggler, quiet_seconds, stragglers
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.workers import Holding, WorkerPresence

NOW = CREATED + timedelta(seconds=100)


def holder(worker: str, *chunks: int | None, job: str = "j", run: int = 1) -> WorkerPresence:
    holdings = tuple(Holding(job=job, run=run, chunk=chunk, attempts=2, seconds=30.0) for chunk in chunks)
    return new_presence(worker).model_copy(update={"holdings": holdings})


@pytest.mark.parametrize(
    ("record", "last_at", "seconds"),
    [
        (new_job(), None, 100.0),
        (new_job(), NOW - timedelta(seconds=7), 7.0),
        (new_job(run=2, run_started_at=NOW - timedelta(seconds=9)), None, 9.0),
        (new_job(run=2, run_started_at=NOW - timedelta(seconds=9)), NOW - timedelta(seconds=2), 2.0),
        # Who retried did not note when; and a clock that is ahead is not a stall.
        (new_job(run=2), None, 0.0),
        (new_job(), NOW + timedelta(seconds=60), 0.0),
    ],
)
def test_a_job_is_quiet_since_the_last_commit_of_its_run(
    record: JobRecord, last_at: datetime | None, seconds: float
) -> None:
    assert quiet_seconds(record, last_at=last_at, now=NOW) == seconds


def test_stragglers_are_named_with_their_holders_before_what_nobody_holds() -> None:
    record = new_job(job="j", chunks=9)
    workers = [holder("b", 7, 1), holder("a", 3), holder("c", 5, job="other"), holder("d", 5, run=2)]
    found = stragglers(record, [3, 5, 7, 8], workers, limit=3)
    assert [(late.chunk, late.worker) for late in found] == [(3, "a"), (7, "b"), (5, None)]
    assert str(found[0]) == "chunk 3, held by a for 30 s"
    assert str(found[2]) == "chunk 5, which no worker holds"


def test_a_publication_is_the_straggler_once_every_chunk_is_committed() -> None:
    record = new_job(job="j")
    assert [str(late) for late in stragglers(record, [], [], limit=5)] == [
        "the publication, which no worker holds"
    ]
    assert [late.worker for late in stragglers(record, [], [holder("a", None)], limit=5)] == ["a"]


def status(*, stalled: bool, workers: int = 1) -> JobStatus:
    shown: dict[str, Any] = dict.fromkeys(
        ("rows", "rows_done", "chunks", "chunks_done", "chunks_failed", "seconds"), 0
    )
    told: dict[str, Any] = (
        {"stalled_seconds": 901.2, "stragglers": (Straggler(chunk=4),), "workers_alive": workers}
        if stalled
        else {}
    )
    return JobStatus(
        job="j",
        state=JobState.RUNNING,
        run=1,
        model="m",
        digest="5f",
        table="t",
        output_table="o",
        rows_scored=None,
        rows_rejected=None,
        created_at=CREATED,
        finished_at=None,
        eta_seconds=None,
        reason=None,
        **shown,
        **told,
    )


@given(seen=st.lists(st.booleans()))
def test_a_note_tells_of_every_change_and_of_nothing_else(seen: list[bool]) -> None:
    said: list[str] = []
    notes = StallNotes(said.append)
    for stalled in seen:
        notes.see(status(stalled=stalled))
    changes = [now for before, now in zip([False, *seen], seen, strict=False) if before != now]
    assert ["stalls" in note for note in said] == changes


def test_a_note_says_that_no_worker_is_alive() -> None:
    said: list[str] = []
    StallNotes(said.append).see(status(stalled=True, workers=0))
    assert "no worker is alive" in said[0]
    StallNotes(said.append).see(status(stalled=True))
    assert said[1] == (
        "Job j stalls: no chunk was committed for 901 seconds; it waits for chunk 4, which no worker holds; "
        "if their messages are lost, send them again with: skfleet resume j."
    )


def test_what_a_worker_holds_need_not_be_sent_again() -> None:
    held = (Straggler(chunk=4, worker="a", seconds=9.0), Straggler(chunk=5))
    said = words(status(stalled=True).model_copy(update={"stragglers": held}))
    assert str(said).endswith("it waits for chunk 4, held by a for 9 s; chunk 5, which no worker holds")
