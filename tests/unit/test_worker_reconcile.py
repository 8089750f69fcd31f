"""Reconciliation: nothing is published that does not add up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.contracts.chunks import Chunk, ChunkPlan, IdRange, TableName
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobSpec
from skfleet_worker.publish import reconcile

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
        output_columns=(),
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
    with pytest.raises(JobFailed, match="3 rows were asked for, but 2 were read"):
        reconcile(spec, plan, [commit_of(0, 2, 0)])
