"""Submitting: spec and plan to S3, the job to the tracker, the messages to SQS; in an order that heals.

Whatever was written before the producer died is found by the submission token: the same request
again sends every message once more (harmless: the first commit of a chunk wins) and goes on.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from skfleet.cancellation import UNPUBLISHED
from skfleet.dispatch import send_chunks, send_publish
from skfleet.preflight import Prepared
from skfleet.progress import Steps
from skfleet.request import PredictRequest
from skfleet.runs import FIRST_RUN, chunk_plan
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import NoSuchJob
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import JobRecord, JobSpec, ModelRef
from skfleet_common.contracts.states import JobState


def new_job() -> str:
    """Give an id that no other job has; ids sort by the time when they were made."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def find_submitted(cloud: Cloud, request: PredictRequest, *, token: str, asks: str) -> JobRecord | None:
    """Give the job that this token made: an explicit token's for ever, a derived one's while it lives.

    Raises:
        Refused: the explicit token's job asks for something else.
    """
    record = cloud.tracker.job_of_token(token)
    if record is None or (record.state.is_terminal and request.token is None):
        return None
    if record.asks not in {"", asks}:
        raise Refused(
            f"The token {token} is that of job {record.job}, which asks for something else; choose another."
        )
    return record


def submit(
    request: PredictRequest,
    prepared: Prepared,
    *,
    cloud: Cloud,
    fleet: str,
    token: str,
    asks: str,
    steps: Steps,
    job: str,
) -> JobRecord:
    """Write the job down and send its messages. Of two racing submitters both get the same job.

    Interrupted, the job is cancelled if this call made it, unless it is being published already.
    """
    now = datetime.now(UTC)
    spec = _spec(request, prepared, job=job, fleet=fleet, now=now)
    reading = prepared.source.reading
    record = JobRecord(
        job=job,
        state=JobState.SUBMITTING,
        run=FIRST_RUN,
        model=spec.model,
        digest=spec.digest,
        more_models=spec.more_models,
        table=spec.table,
        output_table=spec.output_table,
        rows=spec.rows,
        chunks=spec.chunks,
        run_chunks=spec.chunks,
        created_at=now,
        token=token,
        asks=asks,
        rows_are_exact=prepared.plan.rows_are_exact,
        read=None if reading is None else reading.mode.value,
        read_why=None if reading is None else reading.why or None,
    )
    try:
        cloud.store.put(cloud.names.plan(job), prepared.plan.to_json())
        cloud.store.put(cloud.names.spec(job), spec.to_json())
        standing = cloud.tracker.create_job(record, token=token, explicit=request.token is not None)
        if standing.state is JobState.SUBMITTING:
            send_messages(standing, cloud=cloud, steps=steps)
    except KeyboardInterrupt:
        _cancel(record, cloud=cloud, steps=steps)
        raise
    return standing


def send_messages(record: JobRecord, *, cloud: Cloud, steps: Steps) -> None:
    """Send every message of a submitted job, some perhaps once more, and let it run."""
    chunks = chunk_plan(cloud, record.job).chunks
    if not chunks:
        send_publish(cloud, record)
        return
    send_chunks(cloud, record, chunks, positions=range(len(chunks)), steps=steps)
    cloud.tracker.move(record.job, JobState.RUNNING, run=record.run)


def _cancel(record: JobRecord, *, cloud: Cloud, steps: Steps) -> None:
    """Cancel a job that this process was submitting, if it was written down at all."""
    reason = "Interrupted while it was being submitted."
    try:
        cancelled = cloud.tracker.move(
            record.job,
            JobState.CANCELLED,
            run=record.run,
            reason=reason,
            finished_at=datetime.now(UTC),
            only_from=UNPUBLISHED,
        )
    except NoSuchJob:
        return
    steps.note(
        f"Job {record.job} was cancelled."
        if cancelled
        else f"Job {record.job} is being published already; see it with: skfleet status {record.job}"
    )


def _spec(request: PredictRequest, prepared: Prepared, *, job: str, fleet: str, now: datetime) -> JobSpec:
    first, *others = [ModelRef(name=it.manifest.name, digest=it.digest) for it in prepared.bundles]
    usual = {column.name for column in prepared.bundles[0].manifest.outputs}
    of_model = [column for column in prepared.output_columns if not column.is_verbatim]
    is_plain = not others and request.max_drift is None and all(it.name in usual for it in of_model)
    of_files = prepared.source.files is not None or prepared.output_files is not None
    return JobSpec(
        # An older worker would score with the first model alone, fail the job, or publish what drifted; it
        # knows no files, would change texts of theirs, or score rows that a condition leaves out: it must not
        # take it.
        schema_version=5
        if any(chunk.is_filtered for chunk in prepared.plan.chunks)
        else 4
        if _keeps_texts(prepared)
        else 3
        if of_files
        else 1
        if is_plain
        else 2,
        job=job,
        fleet=fleet,
        model=first.name,
        digest=first.digest,
        more_models=tuple(others),
        table=prepared.source.table,
        id_columns=tuple(column.name for column in prepared.id_columns),
        split_column=prepared.source.split_column,
        split_type=prepared.source.split_type,
        where=prepared.source.where,
        output_table=prepared.output_table,
        if_exists=request.if_exists,
        output_columns=prepared.output_columns,
        created_at=now,
        rows=prepared.plan.rows,
        chunks=len(prepared.plan.chunks),
        on_drift=request.on_drift,
        max_rejects=request.max_rejects,
        cascade_views=request.cascade_views,
        max_drift=request.max_drift,
        files=prepared.source.files,
        output_files=prepared.output_files,
    )


def _keeps_texts(prepared: Prepared) -> bool:
    carried = {it.name for it in prepared.output_columns if it.is_verbatim}
    columns = prepared.source.files.columns if prepared.source.files is not None else ()
    return any(it.as_written or it.carried_as is not None for it in columns if it.name in carried)
