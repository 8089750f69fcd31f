"""Files that Redshift unloaded, and somebody changed before they were looked at."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.contract.warehouse_place import REDSHIFT, RedshiftSchema

from skfleet.files.row_groups import GroupedFile
from skfleet.unloaded_files import unloaded_files
from skfleet_common.aws.user_files import ObjectUrl, UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.unload_sizes import UnloadSizes

ROWS = 4_000


@dataclass(frozen=True)
class Unloaded:
    """What was unloaded."""

    s3: Any
    url: ObjectUrl

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads(self.get("manifest")))

    @property
    def last(self) -> str:
        return str(self.manifest["entries"][-1]["url"]).rpartition("/")[2]

    def get(self, name: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.url.bucket, Key=self.url.key + name)["Body"].read())

    def put(self, name: str, content: bytes) -> None:
        self.s3.put_object(Bucket=self.url.bucket, Key=self.url.key + name, Body=content)

    def delete(self, name: str) -> None:
        self.s3.delete_object(Bucket=self.url.bucket, Key=self.url.key + name)

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        self.put("manifest", json.dumps(manifest).encode())

    def rewrite(self, change: Callable[[pa.Table], pa.Table]) -> None:
        """Put another file in the place of the last, of which the manifest knows."""
        manifest, name = self.manifest, self.last
        sink = io.BytesIO()
        pq.write_table(change(pq.read_table(io.BytesIO(self.get(name)))), sink)
        self.put(name, sink.getvalue())
        manifest["entries"][-1]["meta"]["content_length"] = len(sink.getvalue())
        self.write_manifest(manifest)

    def look(self, *, rows: int = ROWS) -> tuple[GroupedFile, ...]:
        return unloaded_files(
            UserObjects(UserFiles(self.s3, "the emulator")), self.url, rows=rows, columns=["c0"]
        )


@pytest.fixture
def files(place: RedshiftSchema) -> Unloaded:
    place.seed(f"CREATE TABLE t AS SELECT i AS id FROM generate_series(1, {ROWS}) i")
    url = ObjectUrl(place.redshift.bucket, "u/")
    rows = place.warehouse.unloader.unload(
        place.rows_of("t"), features=[], verbatim=["id"], to=str(url), alive=lambda: None,
        sizes=UnloadSizes(file_megabytes=32, group_megabytes=32, group_rows=1_000),
    )  # fmt: skip
    found = Unloaded(place.redshift.s3, url)
    assert sum(file.rows for file in found.look(rows=rows)) == ROWS
    return found


def _list_one_twice(files: Unloaded) -> None:
    manifest = files.manifest
    first, *_, last = manifest["entries"]
    manifest["entries"][-1] = first | {"meta": last["meta"]}
    files.write_manifest(manifest)


DAMAGES: dict[str, tuple[Callable[[Unloaded], object], str]] = {
    "no manifest": (lambda it: it.delete("manifest"), "manifest is not there"),
    "no file": (lambda it: it.delete(it.last), "parquet is not there"),
    "half a file": (lambda it: it.put(it.last, it.get(it.last)[:-10]), "no Parquet file, or not all of one"),
    "a file twice": (_list_one_twice, "manifest lists a file twice"),
    "other names": (
        lambda it: it.rewrite(lambda table: table.rename_columns(["z"])), "lacks columns that were written"
    ),
    "other types": (
        lambda it: it.rewrite(lambda table: table.cast(pa.schema([("c0", pa.string())]))),
        "parquet has other columns than s3://.*parquet",
    ),
}  # fmt: skip


@REDSHIFT
@pytest.mark.parametrize("damage", DAMAGES)
def test_files_that_are_not_what_was_written_are_refused_as_such(files: Unloaded, damage: str) -> None:
    change, told = DAMAGES[damage]
    change(files)
    with pytest.raises(Refused, match=f"^What was unloaded cannot be trusted: .*{told}; submit the job"):
        files.look()


@REDSHIFT
def test_a_count_of_no_rows_is_held_against_what_lies_there(files: Unloaded) -> None:
    with pytest.raises(Refused, match=r"says that it wrote 0 rows, and .* lists 4,000"):
        files.look(rows=0)
    entries = files.manifest["entries"]
    files.write_manifest({"entries": []})
    with pytest.raises(Refused, match=r"wrote no rows, and there are files that .*manifest omits"):
        files.look(rows=0)
    files.delete("manifest")
    with pytest.raises(Refused, match="manifest is not there"):
        files.look(rows=0)
    for entry in entries:
        files.delete(entry["url"].rpartition("/")[2])
    assert files.look(rows=0) == ()
