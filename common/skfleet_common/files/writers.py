"""Writers: output rows on their way into files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from skfleet_common.contracts.file_sources import FileFormat
from skfleet_common.contracts.jobs import OutputColumn

#: Types in which any value of the warehouse's is itself; others stay text, as the source writes it.
_TYPES = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
}
_TRUE = pa.array(["t", "true", "1"])

#: Rows of a Parquet file's row group, about.
_GROUP_ROWS = 250_000


class RowWriter(Protocol):
    """Writes rows of one schema into one file."""

    def write(self, rows: pa.RecordBatch) -> None:
        """Add rows."""

    def close(self) -> None:
        """Write what is left, and the end of the file."""


def typed_rows(columns: Sequence[OutputColumn], rows: pa.RecordBatch) -> pa.RecordBatch:
    """Give output rows with numbers and booleans of the source as such."""
    arrays = [
        _typed(rows.column(column.name), column.warehouse_type)
        if column.is_verbatim
        else rows.column(column.name)
        for column in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def empty_rows(columns: Sequence[OutputColumn]) -> pa.RecordBatch:
    """Give the schema of an output without rows."""
    arrays = [pa.array([], _TYPES.get(column.warehouse_type, pa.string())) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def open_writer(sink: Any, schema: pa.Schema, kind: FileFormat) -> RowWriter:
    """Begin a file."""
    return ParquetRows(sink, schema) if kind is FileFormat.PARQUET else CsvRows(sink, schema)


class ParquetRows:
    """A Parquet file, in row groups of a size that readers like."""

    def __init__(self, sink: Any, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(sink, schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, rows: pa.RecordBatch) -> None:
        """Add rows."""
        self._waiting.append(rows)
        self._rows += rows.num_rows
        if self._rows >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write the last group and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._rows = [], 0


class CsvRows:
    """A CSV file with a header: texts in double quotes, nothing for NULL."""

    def __init__(self, sink: Any, schema: pa.Schema) -> None:
        self._writer = pyarrow.csv.CSVWriter(sink, schema)

    def write(self, rows: pa.RecordBatch) -> None:
        """Add rows."""
        self._writer.write_batch(rows)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def _typed(texts: pa.Array, warehouse_type: str) -> pa.Array:
    kind = _TYPES.get(warehouse_type)
    if kind is None:
        return texts
    if kind == pa.bool_():
        return pc.if_else(pc.is_valid(texts), pc.is_in(texts, value_set=_TRUE), pa.scalar(None, pa.bool_()))
    return texts.cast(kind)
