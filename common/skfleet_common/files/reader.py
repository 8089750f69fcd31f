"""The reader of slices: rows of files as typed features, with the text of other columns beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.errors import SourceChanged
from skfleet_common.contracts.file_sources import CsvDialect, FilesSource
from skfleet_common.contracts.slices import ByteRange, ObjectPart, ObjectSlice, RowGroups
from skfleet_common.files.asked_file import AskedFile
from skfleet_common.files.columns_read import CsvColumns, ParquetColumns, ReadColumns
from skfleet_common.files.csv_rows import CsvPart
from skfleet_common.files.head import HEAD_BYTES, read_head
from skfleet_common.files.header import Header, read_header
from skfleet_common.files.parquet_file import open_parquet, row_batches
from skfleet_common.files.text_stream import TextStream
from skfleet_common.tables.port import SourceBatch

#: Headers that are remembered.
_HEADERS = 64


@dataclass(frozen=True)
class SliceReader:
    """Reads the slices of one job's files, and remembers their headers; memory does not grow with them."""

    objects: UserObjects
    source: FilesSource
    #: Of Parquet files, which rows are wanted: see :mod:`~skfleet_common.files.condition`.
    where: str | None = None
    _headers: dict[tuple[str, str], Header] = field(default_factory=dict)

    def read(
        self,
        within: ObjectSlice,
        *,
        features: Sequence[str],
        verbatim: Sequence[str] = (),
        batch_rows: int = 50_000,
    ) -> Iterator[SourceBatch]:
        """Stream rows in batches of at most ``batch_rows``; values that are none of their type are named.

        A batch of whose rows ``where`` lets none through is there, and empty: it is progress.

        Raises:
            SourceChanged: a file is another one than was planned, or gone.
            Refused: a file is not what it was planned to be.
        """
        by_name = {column.name: column for column in self.source.columns}
        wanted = ReadColumns(
            features=tuple(by_name[name] for name in features),
            verbatim=tuple(by_name.get(name) for name in verbatim),
            names=tuple(verbatim),
            file_column=self.source.file_column,
            row_column=self.source.row_column,
        )
        for part in within.parts:
            batches = (
                self._csv(part, wanted)
                if isinstance(part.span, ByteRange)
                else self._parquet(part, part.span, wanted, batch_rows)
            )
            for batch in batches:
                yield from _cut(batch, batch_rows)

    def _csv(self, part: ObjectPart, wanted: ReadColumns) -> Iterator[SourceBatch]:
        found = UserObject.of(part)
        dialect = self.source.dialect or CsvDialect()
        with ExitStack() as opened:
            # What begins with the file begins with its header: nothing is asked for twice.
            begun = [opened.enter_context(self._text(found, part, dialect))] if part.is_first else []
            header = self._header(found, dialect, begun[0] if begun else None)
            stored = wanted.stored_names
            missing = next((name for name in stored if name not in header.names), None)
            if missing is not None:
                raise SourceChanged(f"{part.uri} has no column {missing}; submit the job again.")
            columns = CsvColumns(wanted, part, dialect.null_texts)
            rows = CsvPart(
                label=part.uri if part.is_first else f"{part.uri} from byte {part.span.first:,} on",
                open=lambda: begun.pop() if begun else self._text(found, part, dialect),
                delimiter=dialect.delimiter,
                names=header.names,
                skipped_bytes=header.text_bytes if part.is_first else 0,
                is_cut=not part.is_first or part.span.stop < part.size_bytes,
            )
            for batch in rows.rows(stored):
                yield columns.batch(batch)

    def _parquet(
        self, part: ObjectPart, span: RowGroups, wanted: ReadColumns, batch_rows: int
    ) -> Iterator[SourceBatch]:
        columns = ParquetColumns(wanted, part)
        names = wanted.stored_names
        next_row = span.rows_before + 1
        with open_parquet(self.objects, UserObject.of(part), columns=len(names)) as parquet:
            missing = next((name for name in names if name not in parquet.schema_arrow.names), None)
            if missing is not None:
                raise SourceChanged(f"{part.uri} has no column {missing}; submit the job again.")
            groups = range(span.first, span.stop)
            asked = AskedFile.of(parquet, self.where, label=part.uri)
            for batch in row_batches(parquet, groups, asked.names(names), batch_rows=batch_rows):
                # A row's number is that in its file, whichever rows are let through.
                numbers = np.arange(next_row, next_row + batch.num_rows)
                kept = asked.let_through(batch)
                yield columns.batch(batch.filter(kept), numbers[np.asarray(kept)])
                next_row += batch.num_rows

    def _text(self, found: UserObject, part: ObjectPart, dialect: CsvDialect) -> TextStream:
        return TextStream(
            self.objects.stream(found, part.span.first, part.span.stop),
            label=part.uri,
            encoding=dialect.encoding or (None if part.is_first else "utf-8"),
            is_start=part.is_first,
        )

    def _header(self, found: UserObject, dialect: CsvDialect, begun: TextStream | None) -> Header:
        """Give a file's header, from the beginning of its text if that is at hand."""
        key = (str(found), found.etag)
        if key not in self._headers:
            if begun:
                text = begun.peek(HEAD_BYTES)[:HEAD_BYTES].decode(errors="ignore")
            else:
                text = read_head(self.objects, found, encoding=dialect.encoding).decoded
            if len(self._headers) >= _HEADERS:
                self._headers.clear()
            self._headers[key] = read_header(text, delimiter=dialect.delimiter, label=str(found))
        return self._headers[key]


def _cut(batch: SourceBatch, batch_rows: int) -> Iterator[SourceBatch]:
    """Cut into batches of nearly equal size, none larger than ``batch_rows``."""
    rows = batch.features.num_rows
    pieces = -(-rows // batch_rows)
    if pieces <= 1:
        yield batch
        return
    for piece in range(pieces):
        first, stop = rows * piece // pieces, rows * (piece + 1) // pieces
        yield SourceBatch(
            features=batch.features.slice(first, stop - first),
            verbatim=batch.verbatim.slice(first, stop - first),
            unreadable={row - first: why for row, why in batch.unreadable.items() if first <= row < stop},
        )
