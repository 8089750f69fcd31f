"""CSV files as training input: looked through once to tell the types, and read once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa

from skfleet.inputs.csv_blocks import CsvFile
from skfleet.inputs.csv_scan import ScannedFile, blocks, look_through, refuse_other_columns
from skfleet.inputs.dialect import read_dialect
from skfleet.inputs.files import InputFile, label_of
from skfleet.inputs.memory import needed_bytes, refuse_too_large
from skfleet.inputs.sample import Picked, Sample
from skfleet.inputs.tally import Finding, Oddities
from skfleet.inputs.types import types_by_column
from skfleet.progress import Steps
from skfleet_common.contracts.columns import Column, LogicalDtype, type_word
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.files.spellings import as_type
from skfleet_common.files.types import file_column
from skfleet_common.model.choices import Origin, OriginFile

#: Bytes of a value in memory; texts are counted.
_VALUE_BYTES = 8


@dataclass(frozen=True)
class CsvOptions:
    """What a user says of CSV files that they do not say themselves."""

    delimiter: str | None = None
    encoding: str | None = None
    null_texts: tuple[str, ...] = ()
    types: Mapping[str, LogicalDtype] = field(default_factory=dict)


@dataclass(frozen=True)
class CsvInput:
    """CSV files that hold the same columns."""

    label: str
    columns: tuple[Column, ...]
    #: What every value of a column is, by name.
    findings: Mapping[str, Finding]
    files: tuple[ScannedFile, ...]
    text_bytes: Mapping[str, int]
    sample: Sample | None = None

    @classmethod
    def open(
        cls, files: Sequence[InputFile], options: CsvOptions, *, sample: Sample | None, steps: Steps
    ) -> Self:
        """Look through the files, to the last row.

        Raises:
            Refused: one is no CSV file, or has other columns than the first.
        """
        opened = [ScannedFile(_opened(file, options)) for file in files]
        names = opened[0].csv.dialect.names
        for other in opened[1:]:
            refuse_other_columns(other.csv, names, first=opened[0].csv)
        texts = [file_column(name, LogicalDtype.TEXT) for name in names]
        asked = types_by_column(options.types, texts, source=label_of(files))
        tallies = look_through(opened, names, steps=steps)
        findings = {
            name: tally.as_asked(asked[name]) if name in asked else tally.as_inferred()
            for name, tally in tallies.items()
        }
        return cls(
            label=label_of(files),
            columns=tuple(file_column(name, finding.dtype) for name, finding in findings.items()),
            findings=findings,
            files=tuple(opened),
            text_bytes={name: tally.text_bytes for name, tally in tallies.items()},
            sample=sample,
        )

    @property
    def rows(self) -> int | None:
        """The rows that will be read."""
        total = sum(file.rows for file in self.files)
        return total if self.sample is None else min(total, self.sample.rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how the files are taken."""
        written = [
            f"{file.csv.file.label} is read as {file.csv.dialect.note}."
            for file in self.files
            if file.csv.dialect.note
        ]
        taken = [
            f"{self.label}: column {name!r} {finding.note.format(column=name)}."
            for name, finding in self.findings.items()
            if finding.note
        ]
        return (*written, *taken)

    @property
    def origin(self) -> Origin:
        """The files, each with its digest."""
        return Origin(
            source=self.label,
            kind="csv",
            files=tuple(
                OriginFile(name=file.csv.file.label, size=file.csv.file.size_bytes, sha256=file.sha256)
                for file in self.files
            ),
            sampled=None if self.sample is None else self.sample.rows,
            null_texts=self.files[0].csv.null_texts,
        )

    def check(self, names: Sequence[str]) -> None:
        """Refuse values that are not of their column's type, and rows that would not fit in memory."""
        for name in names:
            self._refuse_odd(name)
        self._refuse_too_large(names)

    def read(self, names: Sequence[str], *, steps: Steps) -> pa.Table:
        """Give the named columns of all rows, or of the sample.

        Raises:
            Refused: a column holds values that are not of its type, or the rows do not fit in memory.
        """
        self.check(names)
        dtypes = {name: self.findings[name].dtype for name in names}
        picked = Picked(self.sample, sum(file.rows for file in self.files))
        batches: list[pa.RecordBatch] = []
        with steps.step("Reading training rows", unit="bytes") as step:
            for _, _, block in blocks(self.files, names, step=step):
                chosen = picked.of(block)
                arrays = [self._typed(chosen.column(name), name, dtype) for name, dtype in dtypes.items()]
                batches.append(pa.RecordBatch.from_arrays(arrays, names=list(names)))
        if not batches:
            return pa.table({name: pa.array([]) for name in names})
        return pa.Table.from_batches(batches)

    def _typed(self, array: pa.Array, name: str, dtype: LogicalDtype) -> pa.Array:
        try:
            return as_type(array, dtype)
        except pa.ArrowInvalid as exc:
            raise Refused(
                f"{self.label}: column {name!r} is to be {type_word(dtype)}, but holds values that are not; "
                "correct them, or name another --type."
            ) from exc

    def _refuse_odd(self, name: str) -> None:
        finding = self.findings[name]
        if finding.odd is None:
            return
        example = shown(finding.odd.example)
        are = "value that is not" if finding.odd.rows == 1 else "values that are not"
        where = f"{finding.odd.rows:,} {are} ({example!r}; {self._lines(finding.odd)})"
        if finding.mostly:
            raise Refused(
                f"{self.label}: column {name!r} holds {finding.mostly} and {where}; correct them, make them "
                f"NULL with --null-text, or take the column as text with --type {name}=text."
            )
        raise Refused(
            f"{self.label}: column {name!r} is to be {type_word(finding.dtype)}, but holds {where}; correct "
            "them, make them NULL with --null-text, or name another --type."
        )

    def _lines(self, odd: Oddities) -> str:
        number = odd.first[0][0]
        rows = [row for file, row in odd.first if file == number]
        lines = self.files[number].csv.lines_of(rows)
        of_file = f" of {self.files[number].csv.file.label}" if len(self.files) > 1 else ""
        if len(lines) == 1:
            return f"line {lines[0]:,}{of_file}"
        named = f"{', '.join(f'{line:,}' for line in lines[:-1])} and {lines[-1]:,}"
        more = " …" if odd.rows > len(lines) else ""
        return f"lines {named}{more}{of_file}"

    def _refuse_too_large(self, names: Sequence[str]) -> None:
        every = sum(file.rows for file in self.files)
        rows = self.rows or 0
        share = rows / every if every else 0.0
        table = sum(
            share * self.text_bytes[name]
            if self.findings[name].dtype is LogicalDtype.TEXT
            else rows * _VALUE_BYTES
            for name in names
        )
        needed = needed_bytes(rows, len(names), table_bytes=table)
        refuse_too_large(self.label, needed, rows=rows, remedy="--sample ROWS")


def _opened(file: InputFile, options: CsvOptions) -> CsvFile:
    dialect = read_dialect(file, encoding=options.encoding, delimiter=options.delimiter)
    return CsvFile(file, dialect, encoding=options.encoding, null_texts=options.null_texts)
