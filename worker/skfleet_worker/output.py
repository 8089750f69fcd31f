"""Output: the Parquet files that one attempt writes, batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.scoring import Reject, Scored
from skfleet_common.tables.port import SourceBatch
from skfleet_worker.sources import is_verbatim

#: The last two columns of a file of rejects.
REASON = "reason"
QUARANTINED = "quarantined"


class PartFile(AbstractContextManager["PartFile"]):
    """A Parquet file that comes to be with its first row."""

    def __init__(self, path: Path, *, codec: str = "zstd") -> None:
        self.path = path
        self.codec = codec
        self.rows = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; all batches have the same columns."""
        if batch.num_rows == 0:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, batch.schema, compression=self.codec)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def describe(self, key: str, value: bytes) -> None:
        """Add to the file's own metadata; a file without rows has none."""
        if self._writer is not None:
            self._writer.add_key_value_metadata({key: value})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()

    def sha256(self) -> str:
        """Give the digest of the finished file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def scored_rows(columns: Sequence[OutputColumn], batch: SourceBatch, scored: Scored) -> pa.RecordBatch:
    """Give the output rows of a batch, columns in the order of the output table."""
    kept = batch.verbatim if not scored.rejected else batch.verbatim.filter(pa.array(scored.kept))
    arrays = [
        kept.column(column.name) if is_verbatim(column) else scored.outputs.column(column.name)
        for column in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def rejected_rows(
    id_columns: Iterable[str], batch: SourceBatch, rejected: Sequence[Reject]
) -> pa.RecordBatch:
    """Give the ids of the rows that were not scored, each with its reason and whether it was quarantined."""
    rows = pa.array([reject.row for reject in rejected], pa.int64())
    names = list(id_columns)
    arrays = [pc.take(batch.verbatim.column(name), rows) for name in names]
    reasons = pa.array([reject.reason for reject in rejected], pa.string())
    flags = pa.array([reject.quarantined for reject in rejected], pa.bool_())
    headings = [*names, _free_name(REASON, names), _free_name(QUARANTINED, names)]
    return pa.RecordBatch.from_arrays([*arrays, reasons, flags], names=headings)


def _free_name(name: str, taken: Sequence[str]) -> str:
    """Give a name for a column of ours that no id column has."""
    while name in taken:
        name += "_"
    return name
