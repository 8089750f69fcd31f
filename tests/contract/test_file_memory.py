"""What memory a scoring process needs for a file, which does not grow with the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.contract.disk_store import disk_store

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.files.types import file_column
from skfleet_common.model.bundle import pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import fit_model

#: Rows of about a kilobyte, nearly all of it a text that is carried along.
ROW_BYTES = 1_000
BATCH_ROWS = 2_000
MEGABYTE = 1_000_000
SMALL_MEGABYTES = 6
#: What the blocks take that Arrow has read ahead (32 of 1 MB), and what allocators keep: 47 MB were measured
#: for a CSV file of 1 GB, 3 MB for a Parquet file.
MOST_GROWTH = 64 * MEGABYTE
#: What a process may ask for, whatever the file's size.
MOST_BYTES = 1_000 * MEGABYTE

COLUMNS = ("id", "miles", "note")


def batches(megabytes: int) -> Iterator[pa.RecordBatch]:
    """Give the rows of a file of that size."""
    letters = np.random.default_rng(0).integers(97, 123, 2**20, dtype=np.uint8).tobytes().decode()
    for first in range(0, megabytes * MEGABYTE // ROW_BYTES, BATCH_ROWS):
        ids = np.arange(first, first + BATCH_ROWS)
        starts = ids * 7_919 % (len(letters) - ROW_BYTES)
        notes = [letters[start : start + ROW_BYTES - 20] for start in starts]
        yield pa.RecordBatch.from_arrays([ids, 100 + ids % 977 + 0.25, notes], names=COLUMNS)


def write(path: Path, kind: str, megabytes: int) -> None:
    rows = batches(megabytes)
    first = next(rows)
    with (
        pq.ParquetWriter(path, first.schema, compression="none", use_dictionary=False)
        if kind == "parquet"
        else pyarrow.csv.CSVWriter(path, first.schema)
    ) as file:
        file.write_batch(first)
        for batch in rows:
            file.write_batch(batch)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a model that reads ``miles``."""
    miles = np.random.default_rng(0).uniform(100, 1_100, 500)
    fitted = fit_model(
        pa.table({"miles": miles, "late": miles > 600}),
        columns=(file_column("miles", LogicalDtype.FLOAT64), file_column("late", LogicalDtype.BOOLEAN)),
        choices=FitChoices(targets=("late",), name="late"),
    )
    folder = tmp_path_factory.mktemp("memory")
    (folder / "bundle").mkdir()
    for name, raw in pack(fitted).items():
        (folder / "bundle" / name).write_bytes(raw)
    return folder


def scored(endpoint: str, names: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """Score files in a process of their own; gives the rows of each, and the most bytes held until then."""
    words = [endpoint, str(folder), str(BATCH_ROWS), str(MOST_BYTES), *names]
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.scoring_process", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("megabytes", [80, pytest.param(1_024, marks=pytest.mark.slow)])
def test_a_process_needs_no_more_memory_for_a_larger_file(
    bundle: Path, tmp_path: Path, kind: str, megabytes: int
) -> None:
    sizes = (SMALL_MEGABYTES, megabytes)
    for size in sizes:
        write(tmp_path / f"{size}.{kind}", kind, size)
    with disk_store(tmp_path) as endpoint:
        small, large = scored(endpoint, [f"s3://larger/{size}.{kind}" for size in sizes], bundle)
    assert [small["rows"], large["rows"]] == [size * MEGABYTE // ROW_BYTES for size in sizes]
    assert large["peak"] - small["peak"] < MOST_GROWTH < (megabytes - SMALL_MEGABYTES) * MEGABYTE
