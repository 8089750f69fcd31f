"""Files for the tests of the inputs, written and opened in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from skfleet.inputs.csv_input import CsvInput, CsvOptions
from skfleet.inputs.files import local_files
from skfleet.inputs.sample import Sample
from skfleet.progress import Silent
from skfleet_common.contracts.errors import Refused


def open_csv(folder: Path, *contents: bytes | str, sample: Sample | None = None, **options: Any) -> CsvInput:
    """Write CSV files and open them as one input."""
    files = []
    for number, content in enumerate(contents):
        path = folder / f"rows{number}.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        files += local_files(str(path), flag="--csv")
    return CsvInput.open(files, CsvOptions(**options), sample=sample, steps=Silent())


def read_csv(folder: Path, *contents: bytes | str, names: Sequence[str] = (), **options: Any) -> pa.Table:
    """Write CSV files and give all rows of the named columns, or of all."""
    opened = open_csv(folder, *contents, **options)
    return opened.read(names or [column.name for column in opened.columns], steps=Silent())


def refusal_of_csv(folder: Path, *contents: bytes | str, **options: Any) -> str:
    """Give the sentence with which CSV files are refused: one line, ending in a full stop."""
    with pytest.raises(Refused) as refused:
        read_csv(folder, *contents, **options)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence


def types_of(opened: CsvInput) -> dict[str, str]:
    """Give the type of every column."""
    return {column.name: str(column.dtype) for column in opened.columns}
