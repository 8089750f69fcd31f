"""Reconciliation: nothing is published that does not add up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.contracts.certificates import Certificate
from skfleet_common.contracts.chunks import Chunk, ChunkPlan, IdRange, TableName
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobSpec, OnDrift, OutputColumn
from skfleet_common.model.checksum import Checksum
from skfleet_common.tables.port import Published
from skfleet_worker.reconciliation import certify, check_numbers, reconcile

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize("numbers", [[1, 2], [0, 0], [1, 0], [0, 2]])
def test_a_plan_that_does_not_number_its_chunks_by_their_places_is_refused(numbers: list[int]) -> None:
    chunks = [Chunk(number=number, range=IdRange(), rows=1) for number in numbers]
    with pytest.raises(JobFailed, match="does not number its chunks from 0 on; submit the job again"):
        check_numbers(ChunkPlan(chunks=tuple(chunks)))
    check_numbers(ChunkPlan(chunks=()))


counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20)


def plan_of(rows: list[int]) -> ChunkPlan:
    return ChunkPlan(
        chunks=tuple(Chunk(number=n, range=IdRange(), rows=count) for n, count in enumerate(rows))
    )


def spec_of(plan: ChunkPlan) -> JobSpec:
    table = TableName(schema_name="public", name="t")
    return JobSpec(
        job="j",
        fleet="f",
        model="m",
        digest="0" * 64,
        table=table,
        id_columns=("id",),
        split_column="id",
        split_type="bigint",
        output_table=table,
        output_columns=(OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        rows=plan.rows,
        chunks=len(plan.chunks),
    )


def commit_of(number: int, scored: int, rejected: int) -> Commit:
    return Commit(
        job="j",
        run=1,
        chunk=number,
        outcome=CommitOutcome.DONE,
        attempt=f"a{number}",
        worker="w",
        rows_read=scored + rejected,
        rows_scored=scored,
        rows_rejected=rejected,
        output_key="out" if scored else None,
        checksum=str(Checksum(number + scored, 2 * scored)),
    )


@given(counts=counts)
def test_what_adds_up_passes(counts: list[tuple[int, int]]) -> None:
    plan = plan_of([sum(pair) for pair in counts])
    reconcile(spec_of(plan), plan, [commit_of(n, *pair) for n, pair in enumerate(counts)])


@given(
    counts=counts,
    data=st.data(),
    field=st.sampled_from(["rows_read", "rows_scored", "rows_rejected"]),
    by=st.integers(1, 9),
)
def test_any_count_that_is_off_is_refused_by_its_chunk(
    counts: list[tuple[int, int]], data: st.DataObject, field: str, by: int
) -> None:
    plan = plan_of([sum(pair) for pair in counts])
    commits = [commit_of(n, *pair) for n, pair in enumerate(counts)]
    at = data.draw(st.integers(0, len(commits) - 1))
    commits[at] = commits[at].model_copy(update={field: getattr(commits[at], field) + by})
    with pytest.raises(JobFailed, match=rf"Chunk {at} does not add up"):
        reconcile(spec_of(plan), plan, commits)


def test_a_failed_chunk_is_never_published() -> None:
    plan = plan_of([1])
    failed = commit_of(0, 1, 0).model_copy(update={"outcome": CommitOutcome.FAILED, "reason": "It broke."})
    with pytest.raises(JobFailed, match="Chunk 0 failed: It broke"):
        reconcile(spec_of(plan), plan, [failed])


def test_a_plan_that_is_not_the_request_is_refused() -> None:
    plan = plan_of([2])
    spec = spec_of(plan).model_copy(update={"rows": 3})
    with pytest.raises(JobFailed, match="3 rows were asked for, but 2 were planned"):
        reconcile(spec, plan, [commit_of(0, 2, 0)])


@given(counts=counts, data=st.data())
def test_drift_is_refused_unless_it_was_allowed_and_then_named(
    counts: list[tuple[int, int]], data: st.DataObject
) -> None:
    read = [sum(pair) for pair in counts]
    planned = [data.draw(st.just(rows) | st.integers(0, 120)) for rows in read]
    plan = plan_of(planned)
    commits = [commit_of(n, *pair) for n, pair in enumerate(counts)]
    drifted = [n for n in range(len(counts)) if planned[n] != read[n]]
    lenient = spec_of(plan).model_copy(update={"on_drift": OnDrift.WARN})
    if drifted:
        with pytest.raises(
            JobFailed, match=rf"Chunk {drifted[0]} does not add up: {planned[drifted[0]]} rows"
        ):
            reconcile(spec_of(plan), plan, commits)
    reconcile(lenient, plan, commits)
    certificate = certificate_of(lenient, plan, commits)
    assert [(at.chunk, at.rows_planned, at.rows_read) for at in certificate.drift] == [
        (n, planned[n], read[n]) for n in drifted
    ]
    assert certificate.rows_drifted == sum(abs(planned[n] - read[n]) for n in drifted)
    assert certificate.adds_up


@given(counts=counts)
def test_a_certificate_adds_everything_up(counts: list[tuple[int, int]]) -> None:
    plan = plan_of([sum(pair) for pair in counts])
    commits = [commit_of(n, *pair) for n, pair in enumerate(counts)]
    certificate = certificate_of(spec_of(plan), plan, commits)
    scored = sum(scored for scored, _ in counts)
    assert (certificate.rows_scored, certificate.rows_rejected) == (scored, sum(map(sum, counts)) - scored)
    assert (certificate.chunks, certificate.chunks_committed) == (len(counts), len(counts))
    numbers = sum(range(len(counts)))
    assert certificate.checksum == str(Checksum(numbers + scored, 2 * scored))
    assert not certificate.drift
    assert certificate.adds_up
    other = certify(
        spec_of(plan), plan, commits, run=1, published=Published(scored + 1, is_new=True), now=NOW
    )
    assert not other.adds_up


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"checksum": None}, "without its output or checksum"),
        ({"output_key": None}, "without its output or checksum"),
        ({"rows_quarantined": 2}, "2 rows quarantined, but only 1 rejected"),
    ],
)
def test_a_commit_that_lacks_something_is_refused(change: dict[str, object], words: str) -> None:
    plan = plan_of([4])
    with pytest.raises(JobFailed, match=words):
        reconcile(spec_of(plan), plan, [commit_of(0, 3, 1).model_copy(update=change)])


def test_an_output_without_the_ids_is_refused() -> None:
    plan = plan_of([1])
    blind = spec_of(plan).model_copy(update={"id_columns": ("id", "day")})
    with pytest.raises(JobFailed, match="lacks an id column"):
        reconcile(blind, plan, [commit_of(0, 1, 0)])


def certificate_of(spec: JobSpec, plan: ChunkPlan, commits: list[Commit]) -> Certificate:
    rows = sum(commit.rows_scored for commit in commits)
    return certify(spec, plan, commits, run=1, published=Published(rows, is_new=True), now=NOW)
