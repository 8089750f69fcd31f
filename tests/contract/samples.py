"""Jobs, commits and workers for the tracker's tests."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobRecord
from skfleet_common.contracts.workers import WorkerPresence

CREATED = datetime(2026, 11, 23, 7, 42, 5, 125_000, tzinfo=UTC)
#: DynamoDB deletes what has expired: a worker of a fixture must outlive the tests.
FAR_AHEAD = datetime(2126, 11, 23, 7, 42, tzinfo=UTC)


def new_job(**given: Any) -> JobRecord:
    """Give the record of a job of three chunks that nobody else has."""
    job = given.pop("job", f"job-{uuid.uuid4().hex[:12]}")
    chunks = given.pop("chunks", 3)
    return JobRecord(
        **{
            "job": job,
            "run_chunks": chunks,
            "model": "flights-delay",
            "digest": "5f" * 32,
            "table": TableName(schema_name="public", name="flights"),
            "output_table": TableName(schema_name="public", name="scores"),
            "rows": 10 * chunks,
            "chunks": chunks,
            "created_at": CREATED,
            "token": f"token of {job}",
        }
        | given
    )


def new_commit(job: str, chunk: int, *, failed: bool = False, **given: Any) -> Commit:
    """Give the commit of an attempt of its own."""
    return Commit(
        **{
            "job": job,
            "run": 1,
            "chunk": chunk,
            "outcome": CommitOutcome.FAILED if failed else CommitOutcome.DONE,
            "attempt": uuid.uuid4().hex,
            "worker": "host-1-4711",
            "rows_read": 10,
            "rows_scored": 10,
            "reason": "The connection broke." if failed else None,
            "seconds_reading": 0.25,
        }
        | given
    )


def new_presence(worker: str, *, seen_at: datetime = FAR_AHEAD) -> WorkerPresence:
    return WorkerPresence(
        worker=worker,
        host="host-1",
        supervisor_pid=4711,
        scorer_pids=(4712,),
        versions={"scikit-learn": "1.9.0"},
        working_on=("a job chunk 7",),
        seen_at=seen_at,
    )
