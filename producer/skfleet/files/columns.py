"""Columns of files: what they are for a job, and what rows at the files' beginnings say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from skfleet.feature_checks import check_features
from skfleet.naming import find_columns
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.columns import Column, LogicalDtype, SourceTable
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.contracts.file_sources import FileColumn
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.files.types import file_column
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.tables.port import FeatureCounts

#: What the columns are called that say where a row is from, unless the files have such columns.
FILE, ROW = "file", "row"


@dataclass(frozen=True)
class FileColumns:
    """The columns of some files, and which of them are the ids."""

    table: SourceTable
    id_columns: tuple[Column, ...]
    #: Of the columns that no file has; empty where the files have ids of their own.
    file_column: str = ""
    row_column: str = ""

    @classmethod
    def of(
        cls, columns: Sequence[Column], *, name: TableName, rows: int, id_names: Sequence[str]
    ) -> FileColumns:
        """Find the ids among the columns, or add file and row.

        Raises:
            Refused: there is no such column.
        """
        plain = SourceTable(name=name, columns=tuple(columns), estimated_rows=rows, can_sample=False)
        if id_names:
            ids = find_columns(columns, id_names, flag="--id-column", source=name)
            return cls(plain, ids)
        taken = {column.name for column in columns}
        file, row = (_free(word, taken) for word in (FILE, ROW))
        given = (
            file_column(file, LogicalDtype.TEXT, nullable=False),
            file_column(row, LogicalDtype.INTEGER, nullable=False),
        )
        every = replace_columns(plain, (*columns, *given))
        return cls(every, given, file, row)

    def stored(self) -> tuple[FileColumn, ...]:
        """Give the columns that the files have, for a job's spec."""
        return tuple(
            FileColumn(
                name=column.name,
                dtype=column.dtype,
                warehouse_type=column.warehouse_type,
                nullable=column.nullable,
            )
            for column in self.table.columns
            if column.name not in {self.file_column, self.row_column}
        )

    def check_carried(self, columns: Sequence[OutputColumn]) -> None:
        """Refuse columns that no output can hold as text.

        Raises:
            Refused: one is of a nested type.
        """
        for output in columns:
            column = self.table.column(output.name)
            if output.is_verbatim and column is not None and column.dtype is LogicalDtype.OTHER:
                raise Refused(
                    f"{self.table.name}: column {shown(column.name)!r} is {column.warehouse_type}, which "
                    "cannot be carried along; leave it out of --columns and --id-column."
                )


@dataclass(frozen=True)
class FeatureSample:
    """Rows at the beginnings of files, with the types that they are read as."""

    rows: pa.Table
    #: How many of the rows hold no value of a column's type.
    faults: Mapping[str, int]

    def check(
        self,
        manifests: Sequence[FeatureManifest],
        table: SourceTable,
        *,
        allow_all_null: Sequence[str],
        is_all: bool,
    ) -> list[str]:
        """Refuse rows from which a model's features cannot be rebuilt; gives what is tolerated.

        Of files that were not looked through, these rows speak for the others.
        """
        counts: list[FeatureCounts] = []

        def count(columns: Sequence[str], categorical: Sequence[str]) -> FeatureCounts:
            counts.append(self._count(columns, categorical))
            return counts[0]

        try:
            warnings = check_features(manifests, table, count=count, allow_all_null=allow_all_null)
        except Refused as refusal:
            if is_all or not counts:
                raise
            raise Refused(f"{refusal} (Of {self.rows.num_rows:,} rows that were looked at.)") from refusal
        if warnings and not is_all:
            warnings.append(f"That is of the {self.rows.num_rows:,} rows that were looked at.")
        return warnings

    def _count(self, columns: Sequence[str], categorical: Sequence[str]) -> FeatureCounts:
        levels: dict[str, dict[str, int]] = {}
        for name in categorical:
            counted = pc.value_counts(self.rows.column(name).drop_null().cast(pa.string()).combine_chunks())
            levels[name] = {str(it["values"]): int(it["counts"]) for it in counted.to_pylist()}
        nulls = {name: self.rows.column(name).null_count - self.faults.get(name, 0) for name in columns}
        return FeatureCounts(rows=self.rows.num_rows, nulls=nulls, levels=levels)


def wanted_types(manifests: Sequence[FeatureManifest]) -> dict[str, LogicalDtype]:
    """Give what the first model that needs a column wants of it."""
    wanted: dict[str, LogicalDtype] = {}
    for manifest in manifests:
        for feature in manifest.features:
            wanted.setdefault(feature.column, feature.dtype)
    return wanted


def unnamed_nulls(manifests: Sequence[FeatureManifest], null_texts: Sequence[str]) -> list[str]:
    """Say which texts meant NULL where models were trained, and do not here."""
    said: list[str] = []
    for manifest in manifests:
        unnamed = [shown(it) for it in manifest.provenance.null_texts if it not in null_texts]
        if unnamed:
            said.append(
                f"{manifest.name} was trained with {unnamed[0]!r} as NULL, which here is a text like others; "
                f"add --null-text {unnamed[0]} if these files mean NULL by it."
            )
    return said


def replace_columns(table: SourceTable, columns: tuple[Column, ...]) -> SourceTable:
    """Give a table with other columns."""
    return table.model_copy(update={"columns": columns})


def _free(word: str, taken: set[str]) -> str:
    while word in taken:
        word += "_"
    return word
