"""Rejects: the rows of a job that were not scored, as the commits that count list them.

Attempts that lost, and runs that failed, leave files of rejects too: the same rows, a second time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import Commit, JobRecord, JobSpec
from skfleet_common.files.row_numbers import SliceNumbers


def rejects_of(cloud: Cloud, job: str) -> pa.Table:
    """Give the rejected rows of the chunks that are committed, in chunk order; without columns if none is.

    The columns are the ids as text, then ``reason`` and ``quarantined``: no other value of a row.

    Raises:
        Refused: clean-up has removed them.
    """
    found = list(_by_chunk(cloud, job))
    return pa.concat_tables(found, promote_options="default") if found else pa.table({})


def _by_chunk(cloud: Cloud, job: str) -> Iterator[pa.Table]:
    record = cloud.tracker.job(job)
    commits = list(cloud.tracker.commits(job, range(record.chunks)))
    numbers = _numbers(cloud, record, commits)
    for commit in commits:
        if commit.rejects_key is None:
            continue
        try:
            raw = cloud.store.get(commit.rejects_key)
        except NoSuchObject as exc:
            raise Refused(
                f"The rejected rows of job {job}, which is {record.state}, are gone: skfleet gc took them, "
                "or they expired; submit the job again to list them anew."
            ) from exc
        yield numbers.of_rejects(commit.chunk, pq.read_table(io.BytesIO(raw)))


def _numbers(cloud: Cloud, record: JobRecord, commits: Sequence[Commit]) -> SliceNumbers:
    """Give what tells the numbers of rows in cut files, where the job had such."""
    if not record.table.is_address:
        return SliceNumbers()
    try:
        files = JobSpec.from_json(cloud.store.get(cloud.names.spec(record.job))).files
        plan = ChunkPlan.from_json(cloud.store.get(cloud.names.plan(record.job)))
    except NoSuchObject:
        return SliceNumbers()
    return SliceNumbers.of(files, plan.chunks, commits)
