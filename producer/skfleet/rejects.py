"""Rejects: the rows of a job that were not scored, as the commits that count list them.

Attempts that lost, and runs that failed, leave files of rejects too: the same rows, a second time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import Commit, JobRecord, JobSpec
from skfleet_common.files.row_numbers import cut_part, rows_before


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
    numbering = _Numbering.of(cloud, record, commits)
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
        yield numbering.of_chunk(commit.chunk, pq.read_table(io.BytesIO(raw)))


@dataclass(frozen=True)
class _Numbering:
    """Gives rows of cut files their numbers there, as far as the slices before theirs are counted."""

    column: str
    before: Mapping[int, int]
    #: The bytes that chunks of cut files begin with.
    first_bytes: Mapping[int, int]

    @classmethod
    def of(cls, cloud: Cloud, record: JobRecord, commits: Sequence[Commit]) -> _Numbering:
        job = record.job
        if not record.table.is_address:
            return cls("", {}, {})
        try:
            files = JobSpec.from_json(cloud.store.get(cloud.names.spec(job))).files
            chunks = ChunkPlan.from_json(cloud.store.get(cloud.names.plan(job))).chunks if files else ()
        except NoSuchObject:
            return cls("", {}, {})
        parts = {chunk.number: part for chunk in chunks if (part := cut_part(chunk)) is not None}
        return cls(
            "" if files is None else files.row_column,
            rows_before(chunks, commits),
            {number: first for number, (_, first) in parts.items() if first},
        )

    def of_chunk(self, chunk: int, rejects: pa.Table) -> pa.Table:
        if not self.column or chunk not in self.first_bytes:
            return rejects
        position = rejects.schema.get_field_index(self.column)
        numbers = rejects.column(position).to_pylist()
        before = self.before.get(chunk)
        named = [
            f"{number} from byte {self.first_bytes[chunk]} on"
            if before is None
            else str(int(number) + before)
            for number in numbers
        ]
        return rejects.set_column(position, self.column, pa.array(named, pa.string()))
