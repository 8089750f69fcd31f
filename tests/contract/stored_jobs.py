"""Jobs as a producer leaves them, with plan and spec in the store, and workers that need no warehouse."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.contract.samples import new_commit, new_job

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import Chunk, ChunkPlan, IdRange
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode
from skfleet_common.contracts.states import JobState
from skfleet_worker.completion import close_chunk


@pytest.fixture
def emptied_cloud(module_cloud: Cloud) -> Cloud:
    """The module's fleet, with nothing in its queues: a fleet for each test would cost seconds."""
    for queue in (module_cloud.queue, module_cloud.dead_letters):
        queue.client.purge_queue(QueueUrl=queue.url)
    return module_cloud


def store_job(cloud: Cloud, *, chunks: int = 3, state: JobState = JobState.RUNNING) -> JobRecord:
    """Write a job down that stands at ``state`` of run 1, and send nothing; chunk n has n + 1 rows."""
    plan = ChunkPlan(
        chunks=tuple(
            Chunk(number=n, range=IdRange(first=str(n), stop=str(n + 1)), rows=n + 1) for n in range(chunks)
        )
    )
    record = new_job(chunks=chunks, rows=plan.rows)
    cloud.store.put(cloud.names.plan(record.job), plan.to_json())
    cloud.store.put(cloud.names.spec(record.job), b"{}")
    cloud.tracker.create_job(record, token=record.token)
    if state is JobState.SUCCEEDED:
        assert cloud.tracker.move(record.job, JobState.PUBLISHING, run=1)
    if state is not JobState.SUBMITTING:
        assert cloud.tracker.move(record.job, state, run=1)
    return cloud.tracker.job(record.job)


def put_rejects(cloud: Cloud, job: str, chunk: int, attempt: str) -> str:
    """Store what an attempt at a chunk may have rejected, two rows, and give its key."""
    key = cloud.names.rejects(job, chunk, attempt)
    written = io.BytesIO()
    rows = {"id": [str(10 * chunk), str(10 * chunk + 1)], "reason": ["odd"] * 2, "quarantined": [True, False]}
    pq.write_table(pa.table(rows), written)
    cloud.store.put(key, written.getvalue())
    return key


def messages_in(cloud: Cloud) -> list[ChunkMessage | PublishMessage]:
    """Take every message from the queue, in whatever order it gives them."""
    found = []
    while deliveries := cloud.queue.receive():
        for delivery in deliveries:
            cloud.queue.ack(delivery)
            found.append(decode(delivery.body))
    return found


def work_off(cloud: Cloud, *, failing: Iterable[int] = ()) -> list[int]:
    """Do what workers do with the queue's chunk messages; gives the chunks, publish messages are lost."""
    failures = set(failing)
    done = []
    for message in messages_in(cloud):
        if isinstance(message, ChunkMessage):
            chunk = message.chunk.number
            commit = new_commit(
                message.job, chunk, failed=chunk in failures, run=message.run, rows_read=message.chunk.rows
            )
            close_chunk(cloud, message, commit)
            done.append(chunk)
    return sorted(done)
