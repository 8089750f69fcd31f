"""The pace of work, and what is left of it; and the smaller batches that a chunk is tried again in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.aws.queue import Delivery
from skfleet_common.contracts.chunks import Chunk, IdRange
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage
from skfleet_worker.batches import FEWEST_ROWS, Batches, smaller
from skfleet_worker.lease import Lease
from skfleet_worker.pace import MAX_JOBS, Pace
from skfleet_worker.protocol import Assignment
from skfleet_worker.work import Work

DELIVERY = Delivery(body="{}", receipt="r", receive_count=1, message_id="m")


def work_on(*, rows: int = 1_000, job: str = "a-job", began_at: float | None = 0.0) -> Work:
    message = ChunkMessage(
        job=job,
        run=1,
        position=0,
        run_chunks=1,
        chunk=Chunk(number=0, range=IdRange(first="1", stop="2"), rows=rows),
    )
    work = Work(Lease(DELIVERY, 0.0, 120.0), Assignment(message, receive_count=1))
    if began_at is not None:
        work.begin(began_at, oom_kills=None)
    return work


@given(
    rows=st.integers(1, 10**9),
    part=st.floats(0.001, 1),
    seconds=st.floats(0.1, 10_000),
    since=st.floats(0, 10_000),
)
def test_what_is_left_takes_as_long_as_its_own_pace_says(
    rows: int, part: float, seconds: float, since: float
) -> None:
    work = work_on(rows=rows)
    done = max(1, int(rows * part))
    work.progress(seconds, rows=done)
    left = Pace().seconds_left(work, seconds + since)
    assert left is not None
    assert left >= 0
    assert left == pytest.approx(max(0.0, seconds * (rows - done) / done - since), rel=1e-6, abs=1e-6)


def test_a_chunk_without_a_batch_takes_what_others_of_its_job_took() -> None:
    pace, first = Pace(), work_on(rows=1_000)
    first.progress(10.0, rows=500)
    pace.note(first)
    assert pace.seconds_left(work_on(rows=1_000, began_at=12.0), 15.0) == pytest.approx(17.0)
    assert pace.seconds_left(work_on(job="another-job"), 15.0) is None


def test_what_nobody_knows_is_no_estimate() -> None:
    publication = Work(Lease(DELIVERY, 0.0, 120.0), Assignment(PublishMessage(job="a-job", run=1), 1))
    publication.begin(0.0, oom_kills=None)
    publication.progress(5.0, rows=10)
    assert Pace().seconds_left(publication, 6.0) is None
    assert Pace().seconds_left(work_on(), 6.0) is None
    assert Pace().seconds_left(work_on(began_at=None), 6.0) is None


def test_only_so_many_jobs_are_remembered() -> None:
    pace = Pace()
    for number in range(MAX_JOBS + 1):
        work = work_on(job=f"job-{number}")
        work.progress(1.0, rows=10)
        pace.note(work)
    assert pace.seconds_left(work_on(job="job-0"), 0.0) is None
    assert pace.seconds_left(work_on(job="job-1"), 0.0) == pytest.approx(100.0)


def test_work_that_begins_again_begins_at_no_row() -> None:
    work = work_on()
    work.progress(10.0, rows=500)
    work.pause()
    work.begin(20.0, oom_kills=None)
    held = work.holding(25.0)
    assert (held.rows_read, held.seconds, held.attempts, held.chunk) == (0, 5.0, 1, 0)


@given(batch_rows=st.integers(1, 10**7), rows=st.integers(0, 10**7))
def test_batches_shrink_to_a_fourth_until_they_are_small(batch_rows: int, rows: int) -> None:
    held, sizes = batch_rows, []
    while (size := smaller(held, rows)) is not None:
        assert size < min(held, rows)
        assert size >= FEWEST_ROWS
        sizes.append(size)
        held = size
    assert min(held, rows) <= FEWEST_ROWS
    assert len(sizes) <= 7


def test_a_chunk_of_fifty_thousand_rows_is_tried_in_four_sizes() -> None:
    work, batches, sizes = work_on(rows=200_000), Batches(50_000), []
    while size := batches.shrink(work, "ran out of memory", lastingly=False):
        sizes.append(size)
        assert work.assignment.batch_rows == size
    assert sizes == [12_500, 3_125, 1_000]
    assert work.assignment.trouble == (
        "The scoring process ran out of memory; scored in batches of 1,000 rows."
    )


def test_only_what_is_known_to_be_the_memory_lasts_for_the_job() -> None:
    batches, next_chunk = Batches(50_000), work_on(rows=200_000)
    batches.shrink(work_on(rows=200_000), "was killed (SIGKILL, 9)", lastingly=False)
    batches.fit(next_chunk)
    assert next_chunk.assignment.batch_rows is None
    batches.shrink(work_on(rows=200_000), "ran out of memory", lastingly=True)
    batches.fit(next_chunk)
    assert (next_chunk.assignment.batch_rows, next_chunk.assignment.trouble) == (12_500, None)


def test_work_that_only_records_a_failure_is_never_shrunk() -> None:
    work = work_on(rows=200_000)
    work.give_up("It broke.")
    assert Batches(50_000).shrink(work, "ran out of memory", lastingly=True) is None
