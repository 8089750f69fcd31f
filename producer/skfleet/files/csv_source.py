"""CSV files on S3, whose rows are scored: planned from their beginnings and a window at each cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import pyarrow as pa

from skfleet.files.carried import Carried, carried
from skfleet.files.columns import FeatureSample, FileColumns, unnamed_nulls, wanted_types
from skfleet.files.csv_look import CsvLook, look_at, sample_of
from skfleet.files.cutting import Cutting
from skfleet.files.found import THREADS
from skfleet.files.slicing import PlannedPart, slices
from skfleet.inputs.types import types_by_column
from skfleet.scored_source import ReadFrom
from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.chunks import ChunkPlan, TableName
from skfleet_common.contracts.columns import Column, LogicalDtype, SourceTable
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.contracts.file_sources import CsvDialect, FileColumn, FileFormat, FilesSource
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.contracts.slices import ByteRange, ObjectPart
from skfleet_common.files.typed_texts import as_values
from skfleet_common.files.types import WAREHOUSE_TYPES, file_column
from skfleet_common.model.manifest import FeatureManifest

#: From this share on, values that are none of their column's type are no odd rows: the column is another.
_TOO_MANY_FAULTS = 0.1


@dataclass(frozen=True)
class CsvAsked:
    """What a user says of CSV files that they do not say themselves."""

    delimiter: str | None = None
    encoding: str = ""
    null_texts: tuple[str, ...] = ()
    types: Mapping[str, LogicalDtype] = field(default_factory=dict)
    whole_files: bool = False


@dataclass
class CsvSource:
    """CSV files with the same columns."""

    objects: UserObjects
    columns: FileColumns
    dialect: CsvDialect
    looks: tuple[CsvLook, ...]
    asked: CsvAsked
    #: What models read, by column.
    wanted: Mapping[str, LogicalDtype]
    #: What columns are where they are ids or carried along.
    carried: Mapping[str, Carried]
    #: The ids and carried columns, once they are chosen.
    _verbatim: tuple[str, ...] = ()
    #: Where the files were cut, once that was tried.
    _cutting: Cutting | None = None

    @classmethod
    def open(
        cls,
        objects: UserObjects,
        files: Sequence[UserObject],
        asked: CsvAsked,
        *,
        name: TableName,
        manifests: Sequence[FeatureManifest],
        id_names: Sequence[str],
    ) -> CsvSource:
        """Look at the beginnings of the files.

        Raises:
            Refused: one is no CSV text, or has other columns than the first.
        """
        dialect, looks = look_at(objects, files, delimiter=asked.delimiter, encoding=asked.encoding)
        dialect = dialect.model_copy(update={"null_texts": asked.null_texts})
        names = looks[0].names
        texts = [file_column(it, LogicalDtype.TEXT) for it in names]
        types = types_by_column(asked.types, texts, source=name)
        wanted = {it: dtype for it, dtype in wanted_types(manifests).items() if it in names}
        sample = sample_of(looks, names, null_texts=asked.null_texts)
        kept = {
            it: carried(it, sample.column(it), asked=types.get(it), wanted=wanted.get(it)) for it in names
        }
        found = [
            Column(
                name=it,
                # What a model wants is what its column is read as; what it is carried as, its texts say.
                dtype=wanted.get(it, kept[it].dtype),
                warehouse_type=WAREHOUSE_TYPES[kept[it].dtype],
            )
            for it in names
        ]
        rows = sum(look.rows for look in looks)
        columns = FileColumns.of(found, name=name, rows=rows, id_names=id_names)
        return cls(objects, columns, dialect, tuple(looks), asked, wanted, kept)

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
        names = [it for it in wanted_types(manifests) if it in self.wanted]
        texts = sample_of(self.looks, names, null_texts=self.asked.null_texts)
        values: dict[str, pa.ChunkedArray] = {}
        faults: dict[str, int] = {}
        for it in names:
            array = texts.column(it)
            typed, flags = as_values(array, self.wanted[it])
            values[it], faults[it] = pa.chunked_array([typed]), int(flags.sum())
            if faults[it] > _TOO_MANY_FAULTS * max(1, len(array)):
                example = array[int(flags.argmax())].as_py()
                raise Refused(
                    f"{self.table.name}: column {shown(it)!r} should hold {self.wanted[it].value} values, "
                    f"but {faults[it]:,} of {len(array):,} that were looked at are not, such as "
                    f"{shown(example)!r}; correct them, or train on files like these."
                )
        sample = FeatureSample(pa.table(values), faults)
        warnings = sample.check(
            manifests, self.table, allow_all_null=allow_all_null, is_all=self._is_known_whole
        )
        warnings += unnamed_nulls(manifests, self.asked.null_texts)
        warnings += [
            f"{shown(it)!r} holds values that are not {self.wanted[it].value}: their rows are set aside."
            for it, count in faults.items()
            if count
        ]
        return warnings

    @property
    def notes(self) -> list[str]:
        """Which columns are carried as text and look otherwise, and which files are not cut as was asked."""
        texts = {it: self.carried[it].because for it in self._verbatim if it in self.carried}
        said = [f"{self.table.name}: column {shown(it)!r} {why}." for it, why in texts.items() if why]
        return [*said, *(self._cutting.notes if self._cutting else ())]

    def plan(self, chunk_rows: Callable[[int], int]) -> ChunkPlan:
        """Cut the files between records, with about as many rows in each slice as are asked for."""
        rows = max(1, chunk_rows(self.table.estimated_rows))
        return slices(self._parts(rows), chunk_rows=rows)

    def read_from(self, columns: Sequence[OutputColumn]) -> ReadFrom:
        """Say how the files are written."""
        self.columns.check_carried(columns)
        self._verbatim = tuple(column.name for column in columns if column.is_verbatim)
        return ReadFrom(
            table=self.table.name,
            files=FilesSource(
                format=FileFormat.CSV,
                dialect=self.dialect,
                columns=tuple(self._stored(it) for it in self.columns.stored()),
                files=len(self.looks),
                size_bytes=sum(look.found.size_bytes for look in self.looks),
                file_column=self.columns.file_column,
                row_column=self.columns.row_column,
            ),
        )

    def _stored(self, column: FileColumn) -> FileColumn:
        kept = self.carried[column.name]
        return column.model_copy(
            update={
                "carried_as": None if kept.dtype is column.dtype else kept.dtype,
                "as_written": kept.as_written,
            }
        )

    def _parts(self, chunk_rows: int) -> Iterator[PlannedPart]:
        if not self.asked.whole_files:
            self._cutting = Cutting.of(self.looks, self.objects, delimiter=self.dialect.delimiter)
        with ThreadPoolExecutor(THREADS) as pool:
            for look in self.looks:
                cuts = self._cutting.cuts(look, chunk_rows=chunk_rows, pool=pool) if self._cutting else []
                edges = [0, *cuts, look.found.size_bytes]
                for first, stop in pairwise(edges):
                    share = (stop - first) / max(1, look.found.size_bytes)
                    yield PlannedPart(
                        ObjectPart(
                            uri=str(look.found),
                            etag=look.found.etag,
                            size_bytes=look.found.size_bytes,
                            span=ByteRange(first=first, stop=stop),
                        ),
                        rows=round(look.rows * share),
                    )

    @property
    def _is_known_whole(self) -> bool:
        return all(look.head.is_whole for look in self.looks)
