"""Reconciliation: what was committed is held against what was planned, before and after it is published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import starmap

from skfleet_common.contracts.certificates import Certificate, ChunkDrift
from skfleet_common.contracts.chunks import Chunk, ChunkPlan
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobSpec, OnDrift
from skfleet_common.contracts.shifts import Shift
from skfleet_common.model.checksum import Checksum
from skfleet_common.tables.port import Published
from skfleet_worker.coverage import check_coverage


def reconcile(spec: JobSpec, plan: ChunkPlan, commits: Sequence[Commit]) -> None:
    """Check that what was committed is what was planned; ``commits`` are in the plan's order.

    Raises:
        JobFailed: it does not add up; the sentence names the first chunk that does not.
    """
    if not id_columns_of(spec):
        raise JobFailed(
            "The output lacks an id column, so that nobody could tell whether it has a row twice; "
            "submit the job again with all of them."
        )
    if plan.rows != spec.rows:
        raise JobFailed(
            f"{spec.rows:,} rows were asked for, but {plan.rows:,} were planned; submit the job again."
        )
    if spec.files is not None:
        check_coverage(spec.files, plan)
    for chunk, commit in zip(plan.chunks, commits, strict=True):
        _reconcile_chunk(spec, chunk, commit)


def check_numbers(plan: ChunkPlan) -> None:
    """Check that a plan's chunks are numbered by their places, as commits and outputs are found by them.

    Raises:
        JobFailed: somebody altered it.
    """
    if any(chunk.number != place for place, chunk in enumerate(plan.chunks)):
        raise JobFailed("The stored plan does not number its chunks from 0 on; submit the job again.")


def id_columns_of(spec: JobSpec) -> tuple[str, ...]:
    """Give the output columns that tell rows apart; none, if not all ids are among the output."""
    ids = tuple(column.name for column in spec.output_columns if column.source == "id")
    return ids if set(ids) >= set(spec.id_columns) else ()


def certify(
    spec: JobSpec,
    plan: ChunkPlan,
    commits: Sequence[Commit],
    *,
    run: int,
    published: Published,
    now: datetime,
    shift: Shift | None = None,
    checksum: Checksum | None = None,
) -> Certificate:
    """Give the certificate of a job whose output is published; ``checksum`` is not that of its commits."""
    if checksum is None:
        checksum = sum((Checksum.parse(it.checksum or str(Checksum())) for it in commits), Checksum())
    drift = starmap(_drift, zip(plan.chunks, commits, strict=True))
    return Certificate(
        job=spec.job,
        run=run,
        model=spec.model,
        digest=spec.digest,
        more_models=spec.more_models,
        table=spec.table,
        output_table=spec.output_table,
        chunks=len(plan.chunks),
        chunks_committed=sum(commit.outcome is CommitOutcome.DONE for commit in commits),
        rows_planned=plan.rows,
        rows_read=sum(commit.rows_read for commit in commits),
        rows_scored=sum(commit.rows_scored for commit in commits),
        rows_rejected=sum(commit.rows_rejected for commit in commits),
        rows_quarantined=sum(commit.rows_quarantined for commit in commits),
        rows_published=published.rows,
        # The publisher refuses to publish otherwise.
        ids_unique=bool(id_columns_of(spec)),
        checksum=str(checksum),
        drift=tuple(chunk for chunk in drift if chunk is not None),
        shift=None if shift is None else shift.brief(),
        certified_at=now,
        rows_are_exact=plan.rows_are_exact,
        bytes_planned=0 if spec.files is None else check_coverage(spec.files, plan),
    )


def _reconcile_chunk(spec: JobSpec, chunk: Chunk, commit: Commit) -> None:
    if commit.outcome is not CommitOutcome.DONE:
        raise JobFailed(f"Chunk {commit.chunk} failed: {commit.reason}")
    adds_up = commit.rows_read == commit.rows_scored + commit.rows_rejected
    is_as_planned = chunk.is_as_planned(commit.rows_read)
    if not adds_up or (spec.on_drift is OnDrift.FAIL and not is_as_planned):
        raise JobFailed(
            f"Chunk {commit.chunk} does not add up: {chunk.rows:,} rows planned, "
            f"{commit.rows_read:,} read, {commit.rows_scored:,} scored and "
            f"{commit.rows_rejected:,} rejected; submit the job again."
        )
    if commit.rows_quarantined > commit.rows_rejected:
        raise JobFailed(
            f"Chunk {commit.chunk} does not add up: {commit.rows_quarantined:,} rows quarantined, but only "
            f"{commit.rows_rejected:,} rejected; submit the job again."
        )
    if commit.checksum is None or (commit.output_key is None) != (commit.rows_scored == 0):
        raise JobFailed(
            f"Chunk {commit.chunk} was committed without its output or checksum; submit the job again."
        )


def _drift(chunk: Chunk, commit: Commit) -> ChunkDrift | None:
    if chunk.is_as_planned(commit.rows_read):
        return None
    return ChunkDrift(chunk=chunk.number, rows_planned=chunk.rows, rows_read=commit.rows_read)
