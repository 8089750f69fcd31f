"""Asked files: a Parquet file, and the condition that its rows are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from skfleet_common.files.arrow_types import dtype_of
from skfleet_common.files.predicates import AskedRows, Constant, Predicate

_ALL = Constant(truth=True)


@dataclass(frozen=True)
class AskedFile:
    """What a condition asks of one file; without one, every row is let through."""

    predicate: Predicate
    label: str

    @classmethod
    def of(cls, parquet: pq.ParquetFile, where: str | None, *, label: str) -> AskedFile:
        """Read a condition over the file's columns.

        Raises:
            Refused: the file has no such columns.
        """
        if where is None:
            return cls(_ALL, label)
        # Its parser is not for the memory of every process that reads files.
        from skfleet_common.files.condition import read_condition  # noqa: PLC0415

        types = {field.name: dtype_of(field.type) for field in parquet.schema_arrow}
        return cls(read_condition(where, types, label=label), label)

    def names(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Give the columns that are read: those that are wanted, and those that the condition asks for."""
        return tuple(dict.fromkeys([*wanted, *sorted(self.predicate.columns)]))

    def let_through(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Give whether each row is let through."""
        return AskedRows(batch, self.label).let_through(self.predicate)
