"""Columns as they are read: what the columns of a file become in a job's batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.file_sources import FileColumn
from skfleet_common.contracts.slices import ObjectPart
from skfleet_common.files.arrow_types import as_read, dtype_of
from skfleet_common.files.own_spellings import as_written
from skfleet_common.files.text_rows import TextRows
from skfleet_common.files.typed_texts import Flags, as_values, as_verbatim, without_nulls
from skfleet_common.tables.port import SourceBatch
from skfleet_common.tables.sql.unreadable import readable_features

_ARTICLES = {LogicalDtype.INTEGER: "an integer"}
_FLOATS = {
    LogicalDtype.FLOAT32: pa.float32(),
    LogicalDtype.FLOAT64: pa.float64(),
    LogicalDtype.DECIMAL: pa.float64(),
}


@dataclass(frozen=True)
class ReadColumns:
    """What a job takes of its files."""

    features: tuple[FileColumn, ...]
    #: None stands for a column that no file has: the file's address, or the row's number.
    verbatim: tuple[FileColumn | None, ...]
    #: What the verbatim columns are called.
    names: tuple[str, ...]
    file_column: str = ""
    row_column: str = ""

    @property
    def stored_names(self) -> tuple[str, ...]:
        """The files' columns that are needed, each once."""
        named = [column.stored_name for column in self.features]
        named += [column.text_in or column.stored_name for column in self.verbatim if column is not None]
        return tuple(dict.fromkeys(named))

    def given(self, name: str, part: ObjectPart, numbers: npt.NDArray[np.int64]) -> pa.Array:
        """Give a column that no file has."""
        if name == self.row_column:
            return pa.array(numbers).cast(pa.string())
        if name != self.file_column:
            raise KeyError(name)
        return pa.repeat(pa.scalar(part.uri, pa.string()), len(numbers))

    def batch(
        self,
        features: list[pa.Array],
        verbatim: list[pa.Array],
        faults: dict[int, str],
        *,
        rows: int,
    ) -> SourceBatch:
        """Put columns together."""
        readable, beyond = readable_features(features, [column.column for column in self.features])
        return SourceBatch(
            features=_batch(readable, [column.name for column in self.features], rows),
            verbatim=_batch(verbatim, list(self.names), rows),
            unreadable=dict(sorted((beyond | faults).items())),
        )


@dataclass(frozen=True)
class CsvColumns:
    """Texts of a part of a CSV file on their way into batches."""

    wanted: ReadColumns
    part: ObjectPart
    null_texts: tuple[str, ...] = ()

    def batch(self, rows: TextRows) -> SourceBatch:
        """Give rows with their types; a text that is no value of its type makes its row unreadable."""
        faults = {place: f"{why} ({self._where(rows, place)})" for place, why in rows.misfits.items()}
        features = []
        for column in self.wanted.features:
            values, flags = as_values(self._texts(rows, column.stored_name), column.dtype)
            self._name(faults, flags, f"{column.name} is not {_spoken(column.dtype)}", rows)
            features.append(values)
        verbatim = []
        for name, carried in zip(self.wanted.names, self.wanted.verbatim, strict=True):
            if carried is None:
                verbatim.append(self.wanted.given(name, self.part, rows.numbers))
                continue
            found, carried_as = self._texts(rows, carried.stored_name), carried.carried_as or carried.dtype
            if carried.as_written:
                texts, flags = as_written(found, carried_as)
                what = (
                    f"{carried.name} is not written as {_spoken(carried_as)} is, and would be changed: keep "
                    f"it with --type {carried.name}=text"
                )
            else:
                texts, flags = as_verbatim(found, carried_as)
                what = f"{carried.name} is not {_spoken(carried_as)}"
            self._name(faults, flags, what, rows)
            verbatim.append(texts)
        return self.wanted.batch(features, verbatim, faults, rows=len(rows.numbers))

    def _texts(self, rows: TextRows, name: str) -> pa.Array:
        return without_nulls(rows.texts.column(name), self.null_texts)

    def _name(self, faults: dict[int, str], flags: Flags, what: str, rows: TextRows) -> None:
        for place in np.flatnonzero(flags).tolist():
            faults.setdefault(place, f"{what} ({self._where(rows, place)})")

    def _where(self, rows: TextRows, place: int) -> str:
        number = int(rows.numbers[place])
        if self.part.is_first:
            return f"row {number:,} of {self.part.uri}"
        return f"row {number:,} from byte {self.part.span.first:,} on of {self.part.uri}"


@dataclass(frozen=True)
class ParquetColumns:
    """Columns of a Parquet file on their way into batches."""

    wanted: ReadColumns
    part: ObjectPart

    def batch(self, rows: pa.RecordBatch, numbers: npt.NDArray[np.int64]) -> SourceBatch:
        """Give rows with the types that the job knows."""
        faults: dict[int, str] = {}
        features = []
        for column in self.wanted.features:
            array, found = self._read(rows, column.stored_name)
            values, flags = _as_wanted(array, found, column.dtype)
            for place in np.flatnonzero(flags).tolist():
                where = f"row {int(numbers[place]):,} of {self.part.uri}"
                faults.setdefault(place, f"{column.name} is not {_spoken(column.dtype)} ({where})")
            features.append(values)
        verbatim = [
            self.wanted.given(name, self.part, numbers)
            if carried is None
            else as_text(self._read(rows, carried.text_in or carried.stored_name)[0])
            for name, carried in zip(self.wanted.names, self.wanted.verbatim, strict=True)
        ]
        return self.wanted.batch(features, verbatim, faults, rows=rows.num_rows)

    def _read(self, rows: pa.RecordBatch, name: str) -> tuple[pa.Array, LogicalDtype]:
        array = rows.column(name)
        dtype = dtype_of(array.type)
        if dtype is LogicalDtype.DECIMAL:
            return array, dtype
        return as_read(array, dtype, column=name, label=self.part.uri), dtype


def as_text(array: pa.Array) -> pa.Array:
    """Give values as a warehouse reads them into a column of their type."""
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def _as_wanted(array: pa.Array, found: LogicalDtype, wanted: LogicalDtype) -> tuple[pa.Array, Flags]:
    """Give a number the type that a model wants; other types were compared when the job was planned."""
    faults: Flags = np.zeros(len(array), dtype=np.bool_)
    if found is LogicalDtype.DECIMAL:
        array = array.cast(pa.string()).cast(pa.float64())
    if wanted is LogicalDtype.TIMESTAMPTZ and found is LogicalDtype.TIMESTAMP:
        # As a warehouse unloads it, in UTC: planning lets no other file be read so.
        return array.cast(pa.timestamp("us", "UTC")), faults
    if wanted in _FLOATS and array.type != _FLOATS[wanted]:
        return array.cast(pa.float64(), safe=False).cast(_FLOATS[wanted], safe=False), faults
    if wanted is LogicalDtype.INTEGER and pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
        whole = pc.equal(array, pc.trunc(array))
        inside = pc.less(pc.abs(array), 2.0**63)
        faults = ~np.asarray(pc.fill_null(pc.and_(whole, inside), fill_value=True))
        array = pc.if_else(pa.array(faults), pa.scalar(None, array.type), array)
        return array.cast(pa.int64()), faults
    return array, faults


def _spoken(dtype: LogicalDtype) -> str:
    return _ARTICLES.get(dtype, f"a {dtype.value}" if dtype not in _FLOATS else "a number")


def _batch(arrays: list[pa.Array], names: list[str], rows: int) -> pa.RecordBatch:
    if names:
        return pa.RecordBatch.from_arrays(arrays, names=names)
    # from_arrays([]) would forget how many rows there are.
    return pa.RecordBatch.from_arrays([pa.nulls(rows)], names=["none"]).select([])
