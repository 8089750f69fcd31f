"""The verdict on a failed run: all of its chunks are told in one reason, and rows are named apart."""

from __future__ import annotations

from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.contract.samples import new_commit
from tests.contract.stored_jobs import store_job

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.file_sources import FileFormat, FilesSource
from skfleet_common.contracts.jobs import JobRecord, JobSpec
from skfleet_worker.quarantine import too_many
from skfleet_worker.verdict import verdict


@pytest.fixture
def job(emptied_cloud: Cloud) -> JobRecord:
    """A job of four chunks that allows one quarantined row."""
    record = store_job(emptied_cloud, chunks=4)
    spec = JobSpec(
        job=record.job,
        fleet="local",
        model=record.model,
        digest=record.digest,
        table=record.table,
        id_columns=("id",),
        split_column="id",
        split_type="bigint",
        output_table=record.output_table,
        output_columns=(),
        created_at=record.created_at,
        rows=record.rows,
        chunks=record.chunks,
        max_rejects=1,
    )
    emptied_cloud.store.put(emptied_cloud.names.spec(record.job), spec.to_json())
    return record


def put_rejects(cloud: Cloud, job: str, chunk: int, ids: list[str]) -> str:
    table = pa.table({"id": ids, "reason": ["odd"] * len(ids), "quarantined": [True] * len(ids)})
    sink = BytesIO()
    pq.write_table(table, sink)
    key = cloud.names.rejects(job, chunk, "a1b2")
    cloud.store.put(key, sink.getvalue())
    return key


def test_rows_of_done_and_failed_chunks_are_counted_together_and_named_apart(
    emptied_cloud: Cloud, job: JobRecord
) -> None:
    cloud, tracker = emptied_cloud, emptied_cloud.tracker
    tracker.commit(new_commit(job.job, 0, failed=True))
    tracker.commit(
        new_commit(job.job, 1, rows_quarantined=1, rejects_key=put_rejects(cloud, job.job, 1, ["7"]))
    )
    key = put_rejects(cloud, job.job, 2, [str(number) for number in range(20, 32)])
    tracker.commit(new_commit(job.job, 2, failed=True, rows_quarantined=12, rejects_key=key))
    # Somebody deleted this list: the count stands.
    tracker.commit(new_commit(job.job, 3, failed=True, rows_quarantined=2, rejects_key="gone"))
    reason, naming = verdict(cloud, job.job)
    assert reason.startswith(
        "1 of 4 chunks failed. Chunk 0: The connection broke. At least 15 rows cannot be read or scored, and "
        "--max-rejects allows 1: chunk 1 (1 row), chunk 2 (12 rows), chunk 3 (2 rows). "
        "List them with skfleet rejects"
    )
    named = "; ".join(f"id={number} (odd)" for number in [7, *range(20, 29)])
    assert naming == f"The first: {named}."


def test_a_run_without_quarantined_rows_names_none_and_needs_no_spec(
    emptied_cloud: Cloud, job: JobRecord
) -> None:
    emptied_cloud.store.delete([emptied_cloud.names.spec(job.job)])
    emptied_cloud.tracker.commit(new_commit(job.job, 2, failed=True))
    said = verdict(emptied_cloud, job.job)
    assert said == ("1 of 4 chunks failed. Chunk 2: The connection broke.", "")


def test_only_who_can_leave_rows_out_is_told_to(emptied_cloud: Cloud, job: JobRecord) -> None:
    spec = JobSpec.from_json(emptied_cloud.store.get(emptied_cloud.names.spec(job.job)))
    for kind, offers in ((None, True), (FileFormat.PARQUET, True), (FileFormat.CSV, False)):
        files = None if kind is None else FilesSource(format=kind, columns=(), files=1, size_bytes=1)
        of_kind = spec.model_copy(update={"files": files})
        said = str(too_many(emptied_cloud, of_kind, [new_commit(job.job, 0, rows_quarantined=2)]))
        assert ("leave them out with --where" in said) is offers
