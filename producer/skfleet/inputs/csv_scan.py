"""Scanning: CSV files streamed as texts, and what the texts of each column look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from skfleet.inputs.csv_blocks import BLOCK_BYTES, CsvFile, RowTooLong
from skfleet.inputs.file_text import FileText
from skfleet.inputs.files import label_of
from skfleet.inputs.tally import Tally
from skfleet.progress import Step, Steps
from skfleet_common.contracts.errors import Refused, SourceChanged, shown


@dataclass
class ScannedFile:
    """One file and what looking through it has shown."""

    csv: CsvFile
    rows: int = 0
    block_bytes: int = 0
    sha256: str = ""


def refuse_other_columns(other: CsvFile, names: Sequence[str], *, first: CsvFile) -> None:
    """Refuse a file whose columns are not those of the first."""
    different = set(other.dialect.names) ^ set(names)
    if different:
        name = min(different)
        has, lacks = (other, first) if name in other.dialect.names else (first, other)
        raise Refused(
            f"{has.file.label} has a column {shown(name)!r} and {lacks.file.label} has none; files that are "
            "read together must have the same columns."
        )


def look_through(files: Sequence[ScannedFile], names: Sequence[str], *, steps: Steps) -> dict[str, Tally]:
    """Count what every column of every file looks like; notes rows, room and digest of each file.

    Raises:
        Refused: one is no text or no table, or has a row that does not fit in any block.
    """
    for block_bytes in BLOCK_BYTES:
        tallies = {name: Tally() for name in names}
        try:
            with steps.step("Looking through the file", unit="bytes") as step:
                for number, file, block in blocks(files, names, block_bytes=block_bytes, step=step):
                    for name in names:
                        tallies[name].add(block.column(name), file=number, first_row=file.rows)
                    file.rows += block.num_rows
        except RowTooLong:
            continue
        return tallies
    longest = BLOCK_BYTES[-1] // 1024**2
    raise Refused(
        f"{label_of([file.csv.file for file in files])} has a row longer than {longest} MB; shorten it, or "
        "close the double quote that is left open."
    )


def blocks(
    files: Sequence[ScannedFile], names: Sequence[str], *, block_bytes: int | None = None, step: Step
) -> Iterator[tuple[int, ScannedFile, pa.RecordBatch]]:
    """Stream every file; with ``block_bytes`` for the first time.

    Raises:
        SourceChanged: a file is not what it was the first time.
    """
    total = sum(file.csv.file.size_bytes for file in files)
    before = 0
    for number, file in enumerate(files):
        if block_bytes is not None:
            file.rows, file.block_bytes = 0, block_bytes

        def reached(done: int, *, before: int = before) -> None:
            step.reach(before + done, total)

        with FileText(file.csv.file, encoding=file.csv.encoding, on_bytes=reached) as stream:
            for block in file.csv.blocks(names, block_bytes=file.block_bytes, stream=stream):
                yield number, file, block
            digest = stream.raw_file.sha256
        if block_bytes is None and digest != file.sha256:
            raise SourceChanged(
                f"{file.csv.file.label} changed while it was read; try again when it stands still."
            )
        file.sha256 = digest
        before += file.csv.file.size_bytes
