"""Rejects: the rows of a job that were not scored, as the commits that count list them.

Attempts that lost, and runs that failed, leave files of rejects too: the same rows, a second time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.errors import Refused


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
    for commit in cloud.tracker.commits(job, range(record.chunks)):
        if commit.rejects_key is None:
            continue
        try:
            raw = cloud.store.get(commit.rejects_key)
        except NoSuchObject as exc:
            raise Refused(
                f"The rejected rows of job {job}, which is {record.state}, are gone: skfleet gc took them, "
                "or they expired; submit the job again to list them anew."
            ) from exc
        yield pq.read_table(io.BytesIO(raw))
