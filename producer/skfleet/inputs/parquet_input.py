"""Parquet files as training input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from skfleet.inputs.file_text import RawFile
from skfleet.inputs.files import InputFile, label_of
from skfleet.inputs.memory import needed_bytes, refuse_too_large
from skfleet.inputs.moments import refuse_unreadable
from skfleet.inputs.sample import Picked, Sample
from skfleet.progress import Steps
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.files.arrow_types import as_read, column_of_field
from skfleet_common.model.choices import Origin, OriginFile

_BATCH_ROWS = 65_536

#: Bytes of a value in memory, about; a text's share of the file comes to it.
_VALUE_BYTES = 8


@dataclass(frozen=True)
class ParquetInput:
    """Parquet files that hold the same columns."""

    label: str
    columns: tuple[Column, ...]
    files: tuple[InputFile, ...]
    digests: tuple[str, ...]
    total_rows: int
    sample: Sample | None = None

    @classmethod
    def open(cls, files: Sequence[InputFile], *, sample: Sample | None, steps: Steps) -> Self:
        """Read what the files say of themselves.

        Raises:
            Refused: one is no Parquet file, or has other columns than the first.
        """
        schemas, rows = [], 0
        for file in files:
            with _opened(file) as parquet:
                schemas.append(parquet.schema_arrow)
                rows += parquet.metadata.num_rows
        columns = _columns(schemas[0], files[0])
        for schema, file in zip(schemas[1:], files[1:], strict=True):
            _refuse_other_columns(_columns(schema, file), columns, file=file, first=files[0])
        return cls(
            label=label_of(files),
            columns=columns,
            files=tuple(files),
            digests=_digests(files, steps),
            total_rows=rows,
            sample=sample,
        )

    @property
    def rows(self) -> int | None:
        """The rows that will be read."""
        return self.total_rows if self.sample is None else min(self.total_rows, self.sample.rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: the types are the files' own."""
        return ()

    @property
    def origin(self) -> Origin:
        """The files, each with its digest."""
        files = [
            OriginFile(name=file.label, size=file.size_bytes, sha256=digest)
            for file, digest in zip(self.files, self.digests, strict=True)
        ]
        sampled = None if self.sample is None else self.sample.rows
        return Origin(source=self.label, kind="parquet", files=tuple(files), sampled=sampled)

    def check(self, names: Sequence[str]) -> None:
        """Refuse rows that would not fit in memory."""
        self._refuse_too_large(names, {column.name: column.dtype for column in self.columns})

    def read(self, names: Sequence[str], *, steps: Steps) -> pa.Table:
        """Give the named columns of all rows, or of the sample.

        Raises:
            Refused: a value cannot be read, or the rows do not fit in memory.
        """
        self.check(names)
        dtypes = {column.name: column.dtype for column in self.columns}
        picked = Picked(self.sample, self.total_rows)
        batches: list[pa.RecordBatch] = []
        done = 0
        with steps.step("Reading training rows", total=self.total_rows) as step:
            for file in self.files:
                with _opened(file) as parquet:
                    for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=list(names)):
                        done += batch.num_rows
                        batches.append(self._as_read(picked.of(batch), names, dtypes))
                        step.reach(done)
        if not batches:
            return pa.table({name: pa.array([]) for name in names})
        return pa.Table.from_batches(batches)

    def _as_read(
        self, batch: pa.RecordBatch, names: Sequence[str], dtypes: dict[str, LogicalDtype]
    ) -> pa.RecordBatch:
        arrays = []
        for name in names:
            array = as_read(batch.column(name), dtypes[name], column=name, label=self.label)
            refuse_unreadable(array, column=name, label=self.label)
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, names=list(names))

    def _refuse_too_large(self, names: Sequence[str], dtypes: dict[str, LogicalDtype]) -> None:
        rows = self.rows or 0
        texts = 0
        wanted = {name for name in names if dtypes[name] is LogicalDtype.TEXT}
        for file in self.files:
            with _opened(file) as parquet:
                texts += _uncompressed_bytes(parquet.metadata, wanted)
        share = rows / self.total_rows if self.total_rows else 0.0
        needed = needed_bytes(rows, len(names), table_bytes=rows * len(names) * _VALUE_BYTES + share * texts)
        refuse_too_large(self.label, needed, rows=rows, remedy="--sample ROWS")


@contextmanager
def _opened(file: InputFile) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file, and say in a sentence what is wrong with it."""
    try:
        with pq.ParquetFile(file.path) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as exc:
        said = str(exc)
        if "magic bytes" in said or "minimum file size" in said or "footer" in said.lower():
            raise Refused(
                f"{file.label} is no Parquet file, or not all of one; copy it anew, or read it with --csv."
            ) from exc
        raise Refused(f"{file.label} cannot be read as Parquet: it is damaged; copy it anew.") from exc


def _columns(schema: pa.Schema, file: InputFile) -> tuple[Column, ...]:
    for position, name in enumerate(schema.names, start=1):
        if not name.strip():
            raise Refused(f"{file.label} has no name for its column {position}; give it one.")
        if schema.names.count(name) > 1:
            raise Refused(
                f"{file.label} has {schema.names.count(name)} columns called {shown(name)!r}; "
                "rename all but one."
            )
    # A file keeps dictionaries of texts alone; of others, pandas writes down what they were.
    told = (schema.pandas_metadata or {}).get("columns", [])
    categories = {column["field_name"] for column in told if column.get("pandas_type") == "categorical"}
    columns = (column_of_field(field) for field in schema)
    return tuple(
        column.model_copy(update={"is_category": True})
        if column.name in categories and column.dtype is LogicalDtype.INTEGER
        else column
        for column in columns
    )


def _refuse_other_columns(
    columns: Sequence[Column], expected: Sequence[Column], *, file: InputFile, first: InputFile
) -> None:
    found = {column.name: column for column in columns}
    wanted = {column.name: column for column in expected}
    different = set(found) ^ set(wanted)
    if different:
        name = min(different)
        has, lacks = (file, first) if name in found else (first, file)
        raise Refused(
            f"{has.label} has a column {shown(name)!r} and {lacks.label} has none; files that are read "
            "together must have the same columns."
        )
    for name, column in wanted.items():
        if found[name].dtype is not column.dtype:
            raise Refused(
                f"Column {shown(name)!r} is {column.warehouse_type} in {first.label} and "
                f"{found[name].warehouse_type} in {file.label}; write both with one type."
            )


def _uncompressed_bytes(metadata: pq.FileMetaData, names: set[str]) -> int:
    total = 0
    for group in range(metadata.num_row_groups):
        for position in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(position)
            if chunk.path_in_schema in names:
                total += chunk.total_uncompressed_size
    return total


def _digests(files: Sequence[InputFile], steps: Steps) -> tuple[str, ...]:
    total = sum(file.size_bytes for file in files)
    digests = []
    before = 0
    with steps.step("Taking the file's digest", total=total, unit="bytes") as step:
        for file in files:
            with RawFile(file, lambda done, before=before: step.reach(before + done)) as raw:  # type: ignore[misc]
                while raw.read(1024 * 1024):
                    pass
                digests.append(raw.sha256)
            before += file.size_bytes
    return tuple(digests)
