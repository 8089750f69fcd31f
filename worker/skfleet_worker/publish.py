"""Publishing: reconcile what was committed with what was planned, and load it into the output table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import structlog

from skfleet_common.aws.rows_at_hand import RowsAtHand
from skfleet_common.aws.unloads import remove_unload
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.errors import JobFailed, Refused, SkfleetError
from skfleet_common.contracts.jobs import Commit, JobSpec
from skfleet_common.contracts.messages import PublishMessage
from skfleet_common.contracts.states import JobState
from skfleet_common.files.row_numbers import SliceNumbers
from skfleet_common.tables.port import Parts, Publication, Published
from skfleet_worker.bench import Workbench
from skfleet_worker.committed import CommittedParts
from skfleet_worker.completion import fail_job
from skfleet_worker.numbering import Numbering, stored_checksum
from skfleet_worker.quarantine import too_many
from skfleet_worker.reconciliation import certify, check_numbers, id_columns_of, reconcile
from skfleet_worker.shift import Gathered, stored_shift
from skfleet_worker.turn import give_turn_back, take_turn

log = structlog.get_logger()


def run_publish(message: PublishMessage, bench: Workbench) -> None:
    """Publish a job; a second time it finds the first one's ledger row, and changes nothing.

    Raises:
        JobFailed: the commits do not add up to the plan, or what they name is not in the store any more.
    """
    cloud = bench.cloud
    # Before the commits: whoever completes the job writes it down after the last one.
    is_publishing = cloud.tracker.job(message.job).state is JobState.PUBLISHING
    spec = bench.sources.spec(message.job)
    plan = ChunkPlan.from_json(cloud.store.get(cloud.names.plan(message.job)))
    check_numbers(plan)
    commits = cloud.tracker.commits(message.job, range(len(plan.chunks)))
    missing = len(plan.chunks) - len(commits)
    if missing and is_publishing:
        raise JobFailed(
            f"{missing:,} of {len(plan.chunks):,} chunks have no commit any more, which has expired or was "
            f"deleted; score them again with: skfleet retry {message.job}"
        )
    if missing:
        # Only the last commit asks for a publish: this message came too early, and another one will come.
        log.warning("publish.too_early", missing=missing)
        return
    reconcile(spec, plan, commits)
    _check_quarantine(spec, plan, commits, bench)
    bench.check_lease()
    if not cloud.tracker.begin_publishing(message.job, run=message.run):
        return
    take_turn(message, spec.output_table, bench)
    log.info("publish.started", rows=_scored(commits), chunks=len(commits))
    numbering = Numbering.of(spec, plan, commits)
    parts = CommittedParts(message.job, commits, bench, Gathered(cloud, spec), numbering)
    published = _publish(message, spec, commits, bench, parts=parts)
    _succeed(message, spec, plan, commits, bench, published=published)
    give_turn_back(message, spec.output_table, bench)


def give_up_publishing(message: PublishMessage, bench: Workbench, *, reason: str, naming: str = "") -> None:
    """Fail the job, unless it has published: a reply that was lost looks like a failure.

    The ledger is told first, so that a worker which is still at it cannot publish a FAILED job.
    """
    cloud = bench.cloud
    bench.check_lease()
    record = cloud.tracker.job(message.job)
    try:
        has_published = not bench.publisher_at(record.output_table).abandon(
            record.output_table, job=message.job, run=message.run
        )
    except Refused as exc:
        # A ledger that nobody can write lets nobody publish.
        log.warning("publish.not_abandoned", error=str(exc))
        has_published = False
    if not has_published:
        fail_job(cloud, message.job, message.run, reason=reason, naming=naming)
        return
    spec = bench.sources.spec(message.job)
    plan = ChunkPlan.from_json(cloud.store.get(cloud.names.plan(message.job)))
    commits = cloud.tracker.commits(message.job, range(record.chunks))
    # The ledger has it: this call loads nothing, and says what stands there.
    nothing = RowsAtHand((), cloud.store, partial(cloud.names.load, message.job))
    published = _publish(message, spec, commits, bench, parts=nothing)
    _succeed(message, spec, plan, commits, bench, published=published)


def _publish(
    message: PublishMessage,
    spec: JobSpec,
    commits: Sequence[Commit],
    bench: Workbench,
    *,
    parts: Parts,
) -> Published:
    publication = Publication(
        job=message.job,
        run=message.run,
        table=spec.output_table,
        columns=spec.output_columns,
        if_exists=spec.if_exists,
        rows=_scored(commits),
        id_columns=id_columns_of(spec),
        cascade_views=spec.cascade_views,
    )
    publisher = bench.publisher_at(spec.output_table, spec.output_files)
    return publisher.publish(publication, parts, alive=lambda: bench.report(publication.rows))


def _succeed(
    message: PublishMessage,
    spec: JobSpec,
    plan: ChunkPlan,
    commits: Sequence[Commit],
    bench: Workbench,
    *,
    published: Published,
) -> None:
    """Certify a job whose output is published, and move it to SUCCEEDED."""
    tracker, now = bench.cloud.tracker, datetime.now(UTC)
    # Written before the publication, by whoever published.
    shift = stored_shift(bench.cloud, message.job)
    certificate = certify(
        spec,
        plan,
        commits,
        run=message.run,
        published=published,
        now=now,
        shift=shift,
        checksum=stored_checksum(bench.cloud, spec),
    )
    # Whoever published may have written it before it died: the first one stands.
    bench.cloud.store.put_new(bench.cloud.names.certificate(message.job), certificate.to_json())
    if not certificate.adds_up:
        fail_job(
            bench.cloud,
            message.job,
            message.run,
            reason=f"{published.rows:,} rows were published to {spec.output_table}, but "
            f"{certificate.rows_scored:,} were scored; look at the job's certificate, and submit it again.",
        )
        return
    moved = tracker.move(
        message.job,
        JobState.SUCCEEDED,
        run=message.run,
        rows_scored=certificate.rows_scored,
        rows_rejected=certificate.rows_rejected,
        finished_at=now,
    )
    if moved:
        log.info("publish.done" if published.is_new else "publish.was_done", rows=published.rows)
        # What is left then, clean-up finds.
        with suppress(SkfleetError):
            if spec.is_unloaded:
                remove_unload(bench.cloud, message.job)
        return
    standing = tracker.job(message.job)
    if standing.state is JobState.SUCCEEDED:
        log.info("publish.was_recorded", rows=published.rows)
    else:
        log.error(
            "publish.not_recorded",
            rows=published.rows,
            job_state=standing.state.value,
            job_run=standing.run,
        )


def _scored(commits: Sequence[Commit]) -> int:
    return sum(commit.rows_scored for commit in commits)


def _check_quarantine(spec: JobSpec, plan: ChunkPlan, commits: Sequence[Commit], bench: Workbench) -> None:
    """Refuse a job that has more quarantined rows than it may have.

    Raises:
        TooManyQuarantined: it says in which chunks, and names the first rows.
    """
    if sum(commit.rows_quarantined for commit in commits) > spec.max_rejects:
        numbers = SliceNumbers.of(spec.files, plan.chunks, commits)
        raise too_many(bench.cloud, spec, commits, numbers=numbers)
