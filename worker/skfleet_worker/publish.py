"""Publishing: reconcile what was committed with what was planned, and load it into the output table."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.errors import JobFailed, Refused, TryAgain
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobSpec
from skfleet_common.contracts.messages import PublishMessage
from skfleet_common.contracts.states import JobState
from skfleet_common.tables.port import Publication
from skfleet_worker.bench import Workbench
from skfleet_worker.completion import fail_job

log = structlog.get_logger()


def run_publish(message: PublishMessage, bench: Workbench) -> None:
    """Publish a job; a second time it finds the first one's ledger row, and changes nothing.

    Raises:
        JobFailed: the commits do not add up to the plan.
    """
    cloud = bench.cloud
    spec = bench.sources.spec(message.job)
    plan = ChunkPlan.from_json(cloud.store.get(cloud.names.plan(message.job)))
    commits = cloud.tracker.commits(message.job, [chunk.number for chunk in plan.chunks])
    if len(commits) < len(plan.chunks):
        # Only the last commit asks for a publish: this message came too early, and another one will come.
        log.warning("publish.too_early", missing=len(plan.chunks) - len(commits))
        return
    reconcile(spec, plan, commits)
    if not cloud.tracker.begin_publishing(message.job, run=message.run):
        return
    scored = sum(commit.rows_scored for commit in commits)
    log.info("publish.started", rows=scored, chunks=len(commits))
    published = bench.warehouse.publisher.publish(
        Publication(
            job=message.job,
            run=message.run,
            table=spec.output_table,
            columns=spec.output_columns,
            if_exists=spec.if_exists,
            rows=scored,
            id_columns=spec.id_columns,
            cascade_views=spec.cascade_views,
        ),
        _parts(commits, bench),
        alive=lambda: bench.report(scored),
    )
    _succeed(message, commits, bench, is_new=published.is_new)


def give_up_publishing(message: PublishMessage, bench: Workbench, *, reason: str) -> None:
    """Fail the job, unless it has published: a reply that was lost looks like a failure.

    The ledger is told first, so that a worker which is still at it cannot publish a FAILED job.
    """
    cloud = bench.cloud
    record = cloud.tracker.job(message.job)
    try:
        has_published = not bench.warehouse.publisher.abandon(
            record.output_table, job=message.job, run=message.run
        )
    except Refused as exc:
        # A ledger that nobody can write lets nobody publish.
        log.warning("publish.not_abandoned", error=str(exc))
        has_published = False
    if has_published:
        commits = cloud.tracker.commits(message.job, range(record.chunks))
        _succeed(message, commits, bench, is_new=False)
    else:
        fail_job(cloud, message.job, message.run, reason=reason)


def _succeed(message: PublishMessage, commits: Sequence[Commit], bench: Workbench, *, is_new: bool) -> None:
    """Move a job whose output is published to SUCCEEDED."""
    tracker = bench.cloud.tracker
    scored = sum(commit.rows_scored for commit in commits)
    moved = tracker.move(
        message.job,
        JobState.SUCCEEDED,
        run=message.run,
        rows_scored=scored,
        rows_rejected=sum(commit.rows_rejected for commit in commits),
        finished_at=datetime.now(UTC),
    )
    if moved:
        log.info("publish.done" if is_new else "publish.was_done", rows=scored)
        return
    standing = tracker.job(message.job)
    if standing.state is JobState.SUCCEEDED:
        log.info("publish.was_recorded", rows=scored)
    else:
        log.error("publish.not_recorded", rows=scored, job_state=standing.state.value, job_run=standing.run)


def reconcile(spec: JobSpec, plan: ChunkPlan, commits: Sequence[Commit]) -> None:
    """Check that what was committed is what was planned; ``commits`` are in the plan's order.

    Raises:
        JobFailed: it does not add up; the sentence names the first chunk that does not.
    """
    for chunk, commit in zip(plan.chunks, commits, strict=True):
        if commit.outcome is not CommitOutcome.DONE:
            raise JobFailed(f"Chunk {commit.chunk} failed: {commit.reason}")
        if not chunk.rows == commit.rows_read == commit.rows_scored + commit.rows_rejected:
            raise JobFailed(
                f"Chunk {commit.chunk} does not add up: {chunk.rows:,} rows planned, "
                f"{commit.rows_read:,} read, {commit.rows_scored:,} scored and "
                f"{commit.rows_rejected:,} rejected; submit the job again."
            )
    total = sum(commit.rows_scored + commit.rows_rejected for commit in commits)
    if total != spec.rows:
        raise JobFailed(f"{spec.rows:,} rows were asked for, but {total:,} were read; submit the job again.")


def _parts(commits: Sequence[Commit], bench: Workbench) -> Iterator[pa.RecordBatch]:
    """Stream the committed outputs; one file at a time is on this host."""
    rows = 0
    for commit in commits:
        if commit.output_key is None:
            continue
        with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
            path = Path(folder) / "part.parquet"
            bench.cloud.store.download(commit.output_key, path)
            _check(path, commit)
            with pq.ParquetFile(path) as part:
                for batch in part.iter_batches(batch_size=bench.settings.batch_rows):
                    yield batch
                    rows += batch.num_rows
                    bench.report(rows)


def _check(path: Path, commit: Commit) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != commit.output_sha256:
        raise TryAgain(
            f"The stored output of chunk {commit.chunk} is not what was committed; submit the job again."
        )
