"""Blocks of a CSV file: its rows as texts, streamed, and what is wrong with a file that gives none."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from skfleet.inputs.dialect import LARGEST_FIELD, Dialect
from skfleet.inputs.file_text import FileText
from skfleet.inputs.files import InputFile
from skfleet_common.contracts.errors import Refused
from skfleet_common.files.quotes import QuoteCheck
from skfleet_common.files.watched_text import WatchedText

#: A row must fit into a block; most files are read with the first size.
BLOCK_BYTES = (4 * 1024**2, 64 * 1024**2, 512 * 1024**2)


@dataclass(frozen=True)
class CsvFile:
    """A CSV file, and how it is written."""

    file: InputFile
    dialect: Dialect
    encoding: str | None = None
    #: Texts that mean NULL wherever they stand.
    null_texts: tuple[str, ...] = ()

    def blocks(self, names: Sequence[str], *, block_bytes: int, stream: FileText) -> Iterator[pa.RecordBatch]:
        """Stream the named columns of all rows as texts; nothing between two delimiters is NULL.

        Raises:
            RowTooLong: a row does not fit into a block.
            Refused: the file is no text, or no table.
        """
        if not self.dialect.has_rows:
            stream.read()  # all the same: what it holds is checked, and its digest taken
            return
        check = QuoteCheck(self.dialect.delimiter)
        try:
            reader = pyarrow.csv.open_csv(
                pa.PythonFile(WatchedText(stream, check), mode="r"),
                read_options=pyarrow.csv.ReadOptions(
                    column_names=list(self.dialect.names),
                    skip_rows_after_names=self.dialect.blank_lines + 1,
                    block_size=block_bytes,
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=self.dialect.delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=not self._blank_is_a_row,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(self.dialect.names, pa.string()),
                    include_columns=list(names),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            for batch in reader:
                yield self._with_nulls(batch)
        except pa.ArrowInvalid as exc:
            if "straddl" in str(exc):
                raise RowTooLong from exc
            raise self.fault() from exc
        if check.quotes % 2 or not check.is_well_formed:
            self._refuse_broken_quote()

    @property
    def _blank_is_a_row(self) -> bool:
        """Of one column, a blank line is how a NULL is written."""
        return len(self.dialect.names) == 1

    def fault(self) -> Refused:
        """Say what is wrong with a file that Arrow could not read."""
        self._refuse_broken_quote()
        width = len(self.dialect.names)
        uneven = ((line, len(fields)) for line, fields in self.numbered_rows() if len(fields) != width)
        first = next(uneven, None)
        if first is None:
            return Refused(
                f"{self.file.label} is no CSV file; write one row a line, separated by delimiters."
            )
        line, fields = first
        others = [number for number, _ in uneven]
        also = f", and so it is in {len(others):,} more" if others else ""
        return Refused(
            f"{self.file.label} has {counted_fields(fields)} in line {line:,}, but {width} column "
            f"names{also}; correct it, put fields that hold the delimiter into double quotes, or name "
            "another --delimiter."
        )

    def lines_of(self, rows: Sequence[int]) -> list[int]:
        """Give the lines in which rows begin, which quoted line breaks and blank lines shift."""
        wanted = set(rows)
        found = {}
        for row, (line, _) in enumerate(self.numbered_rows()):
            if row in wanted:
                found[row] = line
                if len(found) == len(wanted):
                    break
        return [found[row] for row in rows]

    def numbered_rows(self, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Give every row below the header with the number of its first line; slower, but it can say where."""
        csv.field_size_limit(LARGEST_FIELD)
        stream = FileText(self.file, encoding=self.encoding)
        with io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", newline="") as text:
            reader = csv.reader(text, delimiter=self.dialect.delimiter, strict=strict)
            line, is_header = 1, True
            while True:
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except csv.Error as exc:
                    raise BrokenQuote(line, at_end="end of data" in str(exc)) from exc
                if (fields or self._blank_is_a_row) and not is_header:
                    yield line, fields
                is_header = is_header and not fields
                line = reader.line_num + 1

    def _refuse_broken_quote(self) -> None:
        try:
            for _ in self.numbered_rows(strict=True):
                pass
        except BrokenQuote as exc:
            what = (
                "opens a double quote that nothing closes" if exc.at_end else "has text behind a quoted field"
            )
            raise Refused(
                f"The row of {self.file.label} that begins in line {exc.line:,} {what}; correct it, and "
                "write quotes inside a field twice, not behind a backslash."
            ) from exc

    def _with_nulls(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self.null_texts:
            return batch
        meant = pa.array(self.null_texts, type=pa.string())
        return pa.RecordBatch.from_arrays(
            [
                pc.if_else(pc.is_in(array, value_set=meant), pa.scalar(None, array.type), array)
                for array in batch.columns
            ],
            names=batch.schema.names,
        )


class RowTooLong(Exception):
    """A row does not fit into a block of the size at hand."""


class BrokenQuote(Exception):
    """A quote that is opened or closed where it should not be."""

    def __init__(self, line: int, *, at_end: bool) -> None:
        super().__init__(line)
        self.line = line
        self.at_end = at_end


def counted_fields(number: int) -> str:
    """Give ``'1 field'`` or ``'4 fields'``."""
    return f"{number:,} field" if number == 1 else f"{number:,} fields"
