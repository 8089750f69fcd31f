"""Rows of a part of a CSV file, as texts, block by block."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv

from skfleet_common.contracts.errors import Refused
from skfleet_common.files.header import LARGEST_FIELD
from skfleet_common.files.quotes import QuoteCheck
from skfleet_common.files.text_rows import Numbering, TextRows
from skfleet_common.files.text_stream import TextStream
from skfleet_common.files.watched_text import WatchedText

#: A row must fit into a block; most files are read with the first size. Arrow holds up to 32 of them that it
#: has read ahead.
BLOCK_BYTES = (1024**2, 8 * 1024**2, 64 * 1024**2, 512 * 1024**2)

_OPEN_QUOTE = "opens a double quote that nothing closes; correct it, and write quotes inside a field twice."


@dataclass(frozen=True)
class CsvPart:
    """A part of a CSV file: whole records, of which those of the header are skipped."""

    label: str
    #: Opens the part's text anew.
    open: Callable[[], TextStream]
    delimiter: str
    #: The names of its fields, in their order.
    names: tuple[str, ...]
    #: Bytes of text before the first row.
    skipped_bytes: int = 0
    #: Whether the file was cut, so that only the quotes tell whether it was cut between records.
    is_cut: bool = False
    #: Whether it ends where its file or slice does, so that no quote may be open there.
    has_end: bool = True

    def rows(self, wanted: Sequence[str]) -> Iterator[TextRows]:
        """Stream the wanted fields of all rows; memory does not grow with the part.

        Raises:
            Refused: a row is longer than any block, quotes say that the part is none, or it is no CSV text.
        """
        done = 0
        is_checked = False
        for block_bytes in BLOCK_BYTES:
            try:
                for rows in self._rows(wanted, block_bytes):
                    if rows.misfits and not is_checked:
                        # Rather than many rows that do not fit, it may be the part itself.
                        self._check_quotes()
                        is_checked = True
                    last = int(rows.numbers.max())
                    if last > done:
                        yield rows.after(done)
                        done = last
            except _RowTooLong:
                continue
            return
        raise Refused(
            f"{self.label} has a row longer than {BLOCK_BYTES[-1] // 1024**2} MB; shorten it, or close the "
            "double quote that is left open."
        )

    def _rows(self, wanted: Sequence[str], block_bytes: int) -> Iterator[TextRows]:
        misfits: deque[tuple[int, int]] = deque()

        def on_misfit(row: pyarrow.csv.InvalidRow) -> str:
            misfits.append((row.number, row.actual_columns))
            return "skip"

        check = QuoteCheck(self.delimiter)
        numbering = Numbering(misfits, width=len(self.names))
        with self.open() as opened:
            text = WatchedText(opened, check)
            text.skip(self.skipped_bytes)
            try:
                reader = pyarrow.csv.open_csv(
                    pa.PythonFile(text, mode="r"),
                    # Without threads, rows that do not fit are numbered.
                    read_options=pyarrow.csv.ReadOptions(
                        column_names=list(self.names), block_size=block_bytes, use_threads=False
                    ),
                    parse_options=pyarrow.csv.ParseOptions(
                        delimiter=self.delimiter,
                        newlines_in_values=True,
                        # Of one column, that is how a NULL is written.
                        ignore_empty_lines=len(self.names) > 1,
                        invalid_row_handler=on_misfit,
                    ),
                    convert_options=pyarrow.csv.ConvertOptions(
                        column_types=dict.fromkeys(self.names, pa.string()),
                        include_columns=list(wanted) or [self.names[0]],
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                    ),
                )
                for batch in reader:
                    yield from numbering.of(batch)
            except pa.ArrowInvalid as exc:
                if "straddl" in str(exc):
                    raise _RowTooLong from exc
                if "Empty CSV" not in str(exc):
                    raise self._fault(check) from exc
            yield from numbering.rest(wanted or self.names[:1])
        self._check(check)

    def _check_quotes(self) -> None:
        check = QuoteCheck(self.delimiter)
        with self.open() as text:
            text.read(self.skipped_bytes)
            while block := text.read(BLOCK_BYTES[0]):
                check.take(block)
        self._check(check)

    def _check(self, check: QuoteCheck) -> None:
        """Refuse a part whose quotes say that its rows are none.

        Of a file that is whole, quotes within fields are text, so that only a slower reader knows whether one
        is left open, or has text behind it.
        """
        if check.is_well_formed and not (check.quotes % 2 and self.has_end):
            return
        if self.is_cut:
            raise self._fault(check)
        broken = self._broken_quote()
        if broken:
            raise Refused(f"{self.label} {broken}")

    def _broken_quote(self) -> str:
        """Give what a strict reader finds wrong with the quotes of a file, if anything."""
        csv.field_size_limit(LARGEST_FIELD)
        row = 1
        with self.open() as text:
            text.read(self.skipped_bytes)
            lines = io.TextIOWrapper(io.BufferedReader(text), encoding="utf-8", newline="")
            try:
                for fields in csv.reader(lines, delimiter=self.delimiter, strict=True):
                    row += bool(fields) or len(self.names) == 1
            except csv.Error as exc:
                if "end of data" not in str(exc):
                    return (
                        f"has text behind a quoted field in row {row:,}; write quotes inside a field twice, "
                        "not behind a backslash."
                    )
                return _OPEN_QUOTE if self.has_end else ""
        return ""

    def _fault(self, check: QuoteCheck) -> Refused:
        if self.is_cut and (check.quotes % 2 or not check.is_well_formed):
            return Refused(
                f"{self.label} cannot be read in parts: its quotes do not close between records (a line "
                "break or a double quote within a field); submit the job again with --whole-files."
            )
        if broken := self._broken_quote():
            return Refused(f"{self.label} {broken}")
        return Refused(f"{self.label} is no CSV text; write one row a line, separated by delimiters.")


class _RowTooLong(Exception):
    """A row does not fit into a block of the size at hand."""
