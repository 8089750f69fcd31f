"""A process that plans files as one chunk each, scores them as a worker does, and says what memory each took.

It reads the bundle's files from a folder, and writes the scored rows into it.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import pyarrow.parquet as pq
from tests.contract.aws_emulator import new_settings

from skfleet.files.csv_source import CsvAsked, CsvSource
from skfleet.files.found import find_files
from skfleet.files.parquet_source import ParquetSource
from skfleet.output_columns import choose_output_columns
from skfleet_common.aws.clients import open_clients
from skfleet_common.aws.user_files import UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.slices import ObjectSlice
from skfleet_common.files.reader import SliceReader
from skfleet_common.model.bundle import MANIFEST_FILE, Bundle, digest_of, open_bundle
from skfleet_worker.job_models import JobModels
from skfleet_worker.output import PartFile, scored_rows
from skfleet_worker.readahead import ReadAhead


def main(endpoint: str, folder: Path, batch_rows: int, most_bytes: int, urls: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    raw = {path.name: path.read_bytes() for path in (folder / "bundle").iterdir()}
    bundle = open_bundle(raw, digest=digest_of(raw[MANIFEST_FILE]))
    objects = UserObjects(UserFiles(open_clients(new_settings(endpoint)).s3, endpoint))
    done = []
    for url in urls:
        rows = score(objects, url, bundle, output_path=folder / "scored.parquet", batch_rows=batch_rows)
        done.append({"rows": rows, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})
    sys.stdout.write(json.dumps(done))


def score(objects: UserObjects, url: str, bundle: Bundle, *, output_path: Path, batch_rows: int) -> int:
    """Score one file; gives its rows."""
    found, name, manifests = (
        find_files(objects, [url]),
        TableName(schema_name="", name=url),
        [bundle.manifest],
    )
    source = (
        CsvSource.open(objects, found, CsvAsked(), name=name, manifests=manifests, id_names=("id",))
        if url.endswith(".csv")
        else ParquetSource.open(objects, found, name=name, manifests=manifests, id_names=("id",))
    )
    columns = choose_output_columns(
        manifests, source.table, ids=source.id_columns, asked=("note", "prediction")
    )
    (chunk,) = source.plan(lambda _: 10**9).chunks
    files = source.read_from(columns).files
    assert files is not None
    assert isinstance(chunk.range, ObjectSlice)
    given = tuple(column for column in columns if not column.is_verbatim)
    models = JobModels(bundles=(bundle,), names=(bundle.manifest.name,), outputs=(given,))
    batches = SliceReader(objects, files).read(
        chunk.range, features=models.feature_columns, verbatim=("id", "note"), batch_rows=batch_rows
    )
    with PartFile(output_path) as output, ReadAhead(batches) as reading:
        for batch in reading:
            output.write(scored_rows(columns, batch, models.score(batch, most=0, report=lambda: None)))
    rows: int = pq.read_metadata(output_path).num_rows
    return rows


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
