"""Parquet files on S3, whose rows are scored: planned from what they say of themselves at their ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pyarrow as pa

from skfleet.files.columns import FeatureSample, FileColumns, wanted_types
from skfleet.files.found import THREADS
from skfleet.files.row_groups import GroupedFile, parts_of
from skfleet.files.slicing import slices
from skfleet.scored_source import ReadFrom
from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.chunks import ChunkPlan, TableName
from skfleet_common.contracts.columns import Column, LogicalDtype, SourceTable
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.contracts.file_sources import FileFormat, FilesSource
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.files.arrow_types import column_of_field
from skfleet_common.files.asked_file import AskedFile
from skfleet_common.files.columns_read import ParquetColumns, ReadColumns
from skfleet_common.files.condition import check_condition
from skfleet_common.files.group_statistics import groups_without_rows
from skfleet_common.files.parquet_file import open_parquet, row_batches
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.refusals import counted

#: Rows of the first file that are looked at.
_SAMPLE_ROWS = 10_000
#: So often, so many rows are asked a condition until it lets one through.
_SAMPLE_BATCHES = 20

#: Numbers that a model which wants the other type takes, as it would from a text; of what is no integer, the
#: row is set aside.
_CONVERTIBLE = {
    LogicalDtype.FLOAT64: {LogicalDtype.INTEGER, LogicalDtype.FLOAT32, LogicalDtype.DECIMAL},
    LogicalDtype.DECIMAL: {LogicalDtype.INTEGER, LogicalDtype.FLOAT32, LogicalDtype.FLOAT64},
    LogicalDtype.FLOAT32: {LogicalDtype.INTEGER, LogicalDtype.FLOAT64, LogicalDtype.DECIMAL},
    LogicalDtype.INTEGER: {LogicalDtype.FLOAT32, LogicalDtype.FLOAT64, LogicalDtype.DECIMAL},
}


@dataclass(frozen=True)
class ParquetLook:
    """A Parquet file by its footer."""

    found: UserObject
    columns: tuple[Column, ...]
    #: Rows of each row group.
    groups: tuple[int, ...]
    #: What the rows are asked, and the row groups that hold none of which it is true.
    where: str | None = None
    left_out: frozenset[int] = frozenset()

    @property
    def file(self) -> GroupedFile:
        """The file by its row groups."""
        return GroupedFile(self.found, self.groups, self.where is not None, self.left_out)


@dataclass(frozen=True)
class ParquetSource:
    """Parquet files with the same columns."""

    objects: UserObjects
    columns: FileColumns
    looks: tuple[ParquetLook, ...]

    @classmethod
    def open(
        cls,
        objects: UserObjects,
        files: Sequence[UserObject],
        *,
        name: TableName,
        manifests: Sequence[FeatureManifest],
        id_names: Sequence[str],
        where: str | None = None,
    ) -> ParquetSource:
        """Read the footers of the files.

        Raises:
            Refused: one is no Parquet file, or has other columns than the first, or than ``where`` asks for.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            looks = list(pool.map(partial(_look, objects, where), files))
        for other in looks[1:]:
            _refuse_other_columns(other, looks[0])
        wanted = wanted_types(manifests)
        found = [_as_wanted(column, wanted) for column in looks[0].columns]
        rows = sum(look.file.rows - look.file.rows_left_out for look in looks)
        columns = FileColumns.of(found, name=name, rows=rows, id_names=id_names)
        return cls(objects, columns, tuple(looks))

    @property
    def table(self) -> SourceTable:
        """The files under their address."""
        return self.columns.table

    @property
    def id_columns(self) -> tuple[Column, ...]:
        """The ids, or file and row."""
        return self.columns.id_columns

    def check_ids(self) -> None:
        """Nothing: who reads a row sees whether it has its ids, and who publishes whether they repeat."""

    def check_features(
        self, manifests: Sequence[FeatureManifest], *, allow_all_null: Sequence[str]
    ) -> list[str]:
        """Refuse files whose first rows no features can be rebuilt from."""
        stored = {column.name: column for column in self.columns.stored()}
        names = [name for name in wanted_types(manifests) if name in stored]
        wanted = ReadColumns(features=tuple(stored[name] for name in names), verbatim=(), names=())
        batches = [self._first_rows(wanted)] if names and self.table.estimated_rows else []
        rows = pa.Table.from_batches(batches) if batches else pa.table({name: pa.array([]) for name in names})
        return FeatureSample(rows, {}).check(
            manifests,
            self.table,
            allow_all_null=allow_all_null,
            is_all=rows.num_rows == self.table.estimated_rows,
        )

    def _first_rows(self, wanted: ReadColumns) -> pa.RecordBatch:
        """Give the first rows that the condition lets through, or none after a while."""
        look = next(look for look in self.looks if sum(look.groups[group] for group in look.file.kept))
        read = ParquetColumns(wanted, look.file.part(0, len(look.groups)))
        with open_parquet(self.objects, look.found, columns=len(wanted.features)) as parquet:
            asked = AskedFile.of(parquet, look.where, label=str(look.found))
            names = asked.names(wanted.stored_names)
            for batch in islice(
                row_batches(parquet, look.file.kept, names, batch_rows=_SAMPLE_ROWS), _SAMPLE_BATCHES
            ):
                first = batch.filter(asked.let_through(batch))
                if first.num_rows:
                    break
            return read.batch(first, np.arange(first.num_rows)).features

    @property
    def notes(self) -> list[str]:
        """Say what is not read at all; row groups are as large as whoever wrote them made them."""
        if self.where is None:
            return []
        files = [look.file for look in self.looks]
        groups, out = sum(len(it.groups) for it in files), sum(len(it.left_out) for it in files)
        rows = sum(it.rows_left_out for it in files)
        return [
            f"{out:,} of {groups:,} row groups ({counted(rows)}) are left out: by their statistics, --where "
            "lets none of their rows through. The rows of the others are the most that it may let through."
        ]

    @property
    def where(self) -> str | None:
        """What the rows are asked, as a job's spec stores it."""
        return self.looks[0].where

    def plan(self, chunk_rows: Callable[[int], int]) -> ChunkPlan:
        """Gather row groups: none is divided, and the rows of each are known."""
        rows = max(1, chunk_rows(self.table.estimated_rows))
        return slices(parts_of((look.file for look in self.looks), chunk_rows=rows), chunk_rows=rows)

    def read_from(self, columns: Sequence[OutputColumn]) -> ReadFrom:
        """Say what the files' columns are."""
        self.columns.check_carried(columns)
        return ReadFrom(
            table=self.table.name,
            where=self.where,
            files=FilesSource(
                format=FileFormat.PARQUET,
                columns=self.columns.stored(),
                files=len(self.looks),
                size_bytes=sum(look.found.size_bytes for look in self.looks),
                file_column=self.columns.file_column,
                row_column=self.columns.row_column,
            ),
        )


def _look(objects: UserObjects, where: str | None, found: UserObject) -> ParquetLook:
    with open_parquet(objects, found) as parquet:
        schema, metadata = parquet.schema_arrow, parquet.metadata
        for position, name in enumerate(schema.names, start=1):
            if not name.strip():
                raise Refused(f"{found} has no name for its column {position}; give it one.")
            if schema.names.count(name) > 1:
                times = schema.names.count(name)
                raise Refused(f"{found} has {times} columns called {shown(name)!r}; rename all but one.")
        groups = tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        columns = tuple(column_of_field(field) for field in schema)
        if where is None:
            return ParquetLook(found, columns, groups)
        types = {column.name: column.dtype for column in columns}
        predicate = check_condition(where, types, label=str(found))
        return ParquetLook(found, columns, groups, str(predicate), groups_without_rows(parquet, predicate))


def _as_wanted(column: Column, wanted: Mapping[str, LogicalDtype]) -> Column:
    """Give a column the type that a model wants, where its values lose nothing by it."""
    dtype = wanted.get(column.name, column.dtype)
    if column.dtype not in _CONVERTIBLE.get(dtype, ()):
        return column
    return column.model_copy(update={"dtype": dtype})


def _refuse_other_columns(other: ParquetLook, first: ParquetLook) -> None:
    found = {column.name: column for column in other.columns}
    expected = {column.name: column for column in first.columns}
    different = set(found) ^ set(expected)
    if different:
        name = min(different)
        has, lacks = (other, first) if name in found else (first, other)
        raise Refused(
            f"{has.found} has a column {shown(name)!r} and {lacks.found} has none; files that are read "
            "together must have the same columns."
        )
    for name, column in expected.items():
        if found[name].dtype is not column.dtype:
            raise Refused(
                f"Column {shown(name)!r} is {column.warehouse_type} in {first.found} and "
                f"{found[name].warehouse_type} in {other.found}; write both with one type."
            )
