"""Numbering: rows of cut files get their numbers when they are published, and so does their checksum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.jobs import Commit, JobSpec
from skfleet_common.files.row_numbers import renumbered, rows_before
from skfleet_common.model.checksum import Checksum


@dataclass
class Numbering:
    """The numbers of one job's rows; nothing to do where they have ids of their own."""

    job: str
    #: What the column is called; empty where there is none.
    column: str
    before: Mapping[int, int]
    checksum: Checksum

    @classmethod
    def of(cls, spec: JobSpec, plan: ChunkPlan, commits: Sequence[Commit]) -> Numbering:
        """Count the rows before each chunk."""
        column = "" if spec.files is None else spec.files.row_column
        return cls(spec.job, column, rows_before(plan.chunks, commits) if column else {}, Checksum())

    def of_chunk(self, chunk: int, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Give rows of a chunk with their numbers in their file."""
        if not self.column:
            return rows
        numbered = renumbered(rows, self.column, self.before.get(chunk, 0))
        self.checksum += Checksum.of(numbered)
        return numbered

    def settle(self, cloud: Cloud) -> None:
        """Write down the checksum of what is about to be published."""
        if self.column:
            cloud.store.put(cloud.names.checksum(self.job), str(self.checksum).encode())


def stored_checksum(cloud: Cloud, spec: JobSpec) -> Checksum | None:
    """Give what whoever published the job wrote down; None where the commits say it."""
    if spec.files is None or not spec.files.row_column:
        return None
    return Checksum.parse(cloud.store.get(cloud.names.checksum(spec.job)).decode())
