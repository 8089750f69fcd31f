"""Publishing to files: absent or whole, once a job, whoever dies where."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from skfleet_common.aws import user_writes
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused
from skfleet_common.contracts.file_sources import FileFormat, FilesOutput
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.files import publisher as publishing
from skfleet_common.files.publisher import FilesPublisher
from skfleet_common.tables.port import Publication

URI = "s3://published/scores/"
COLUMNS = (
    OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),
    OutputColumn(name="note", warehouse_type="text", source="carried"),
    OutputColumn(name="prediction", warehouse_type="boolean", source="prediction"),
)


@pytest.fixture
def publisher(cloud: Cloud, tmp_path: Path) -> Iterator[FilesPublisher]:
    """One who publishes below an empty prefix."""
    client = cloud.store.client
    client.create_bucket(Bucket="published")
    yield FilesPublisher(cloud.store, cloud.names, FilesOutput(uri=URI), tmp_path)
    for entry in client.list_objects_v2(Bucket="published").get("Contents", []):
        client.delete_object(Bucket="published", Key=entry["Key"])
    client.delete_bucket(Bucket="published")


def asked(rows: int, *, run: int = 1, if_exists: IfExists = IfExists.FAIL, job: str = "") -> Publication:
    return Publication(
        job=job or f"20261123-{uuid.uuid4().hex[:8]}",
        run=run,
        table=TableName(schema_name="", name=URI),
        columns=COLUMNS,
        if_exists=if_exists,
        rows=rows,
        id_columns=("id",),
    )


def batch(first: int, stop: int) -> pa.RecordBatch:
    numbers = range(first, stop)
    return pa.RecordBatch.from_pydict(
        {
            "id": [str(number) for number in numbers],
            "note": [None if number % 3 else 'say "ü",\n' for number in numbers],
            "prediction": [number % 2 == 0 for number in numbers],
        }
    )


def keys(publisher: FilesPublisher) -> list[str]:
    found = publisher.store.client.list_objects_v2(Bucket="published").get("Contents", [])
    return [entry["Key"].removeprefix("scores/") for entry in found]


def published(publisher: FilesPublisher) -> pa.Table:
    """What a reader of the manifest finds."""
    client = publisher.store.client

    def got(key: str) -> bytes:
        return client.get_object(Bucket="published", Key=key)["Body"].read()

    manifest = json.loads(got("scores/_manifest.json"))
    tables = []
    for entry in manifest["entries"]:
        raw = got(entry["url"].removeprefix("s3://published/"))
        assert len(raw) == entry["meta"]["content_length"]
        is_csv = manifest["format"] == "csv"
        options = pyarrow.csv.ParseOptions(newlines_in_values=True)
        table = (
            pyarrow.csv.read_csv(io.BytesIO(raw), parse_options=options)
            if is_csv
            else pq.read_table(io.BytesIO(raw))
        )
        assert table.num_rows == entry["meta"]["record_count"]
        tables.append(table)
    return pa.concat_tables(tables)


@pytest.mark.parametrize("one_file", [True, False])
@pytest.mark.parametrize("kind", [FileFormat.CSV, FileFormat.PARQUET])
def test_rows_arrive_typed_in_one_file_or_in_many(
    publisher: FilesPublisher, kind: FileFormat, one_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "FILE_BYTES", 20_000)
    # The least that S3 takes as a part of an upload, so that one file has several.
    monkeypatch.setattr(user_writes, "PART_BYTES", 5 * 1024**2)
    publisher = replace(publisher, output=FilesOutput(uri=URI, format=kind, one_file=one_file))
    rows = 600_000 if kind is FileFormat.CSV and one_file else 300_000
    parts = (batch(first, first + 10_000) for first in range(0, rows, 10_000))
    assert publisher.publish(asked(rows), parts).is_new
    table = published(publisher)
    assert table.schema.field("id").type == pa.int64()
    assert table.schema.field("prediction").type == pa.bool_()
    assert table["id"].to_pylist() == list(range(rows))
    assert (len(keys(publisher)) == 3) == one_file
    assert keys(publisher)[-1].startswith("part-")
    assert keys(publisher)[:2] == ["_SUCCESS", "_manifest.json"]


def test_no_rows_are_a_file_with_columns(publisher: FilesPublisher) -> None:
    publisher.publish(asked(0), [])
    assert published(publisher).schema.names == ["id", "note", "prediction"]


def test_a_publication_happens_once_and_is_carried_out_by_whoever_comes(publisher: FilesPublisher) -> None:
    publication = asked(10)

    class Died(BaseException):
        """The end of a worker."""

    def die(*_: object, **__: object) -> None:
        raise Died

    dying = replace(publisher)
    object.__setattr__(dying, "_carried_out", die)
    with pytest.raises(Died):
        dying.publish(publication, [batch(0, 10)])
    assert not any(key.startswith("_") for key in keys(publisher))
    assert not publisher.abandon(publication.table, job=publication.job, run=1)
    done = publisher.publish(publication, ())
    assert (done.rows, done.is_new) == (10, False)
    assert published(publisher).num_rows == 10
    assert publisher.publish(publication, ()).rows == 10


def test_what_an_attempt_left_that_died_before_it_decided_is_no_output(publisher: FilesPublisher) -> None:
    publication = asked(20)

    def dying() -> Iterator[pa.RecordBatch]:
        yield batch(0, 10)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        publisher.publish(publication, dying())
    publisher.store.client.put_object(
        Bucket="published", Key=f"scores/part-{publication.job}-1-0-00000.parquet", Body=b"half"
    )
    publisher.publish(publication, [batch(0, 10), batch(10, 20)])
    assert published(publisher).num_rows == 20
    assert len(keys(publisher)) == 3


def test_a_run_that_was_given_up_never_publishes(publisher: FilesPublisher) -> None:
    publication = asked(10)
    assert publisher.abandon(publication.table, job=publication.job, run=1)
    with pytest.raises(JobFailed, match="given up before"):
        publisher.publish(publication, [batch(0, 10)])
    assert keys(publisher) == []
    assert publisher.publish(replace(publication, run=2), [batch(0, 10)]).is_new


def test_a_run_that_is_given_up_while_it_writes_leaves_nothing(publisher: FilesPublisher) -> None:
    publication = asked(10)

    def interrupted() -> Iterator[pa.RecordBatch]:
        yield batch(0, 10)
        publisher.abandon(publication.table, job=publication.job, run=1)

    with pytest.raises(JobFailed, match="given up before"):
        publisher.publish(publication, interrupted())
    assert not any(key.startswith("_") for key in keys(publisher))
    publisher.sweep_unpublished(publication.job, runs=1)
    assert keys(publisher) == []


def test_what_stands_is_kept_or_replaced_whole(publisher: FilesPublisher) -> None:
    publisher.publish(asked(10), [batch(0, 10)])
    before = keys(publisher)
    with pytest.raises(Refused, match="--if-exists replace"):
        publisher.publish(asked(5), [batch(0, 5)])
    with pytest.raises(JobFailed, match="4 rows where 5"):
        publisher.publish(asked(5, if_exists=IfExists.REPLACE), [batch(0, 4)])
    assert published(publisher).num_rows == 10
    publisher.publish(asked(5, if_exists=IfExists.REPLACE), [batch(0, 5)])
    assert published(publisher).num_rows == 5
    assert not {key for key in before if key.startswith("part-")} & set(keys(publisher))


def test_files_of_somebody_else_are_never_replaced(publisher: FilesPublisher) -> None:
    publisher.publish(asked(10), [batch(0, 10)])
    publisher.store.client.put_object(Bucket="published", Key="scores/theirs.csv", Body=b"x")
    with pytest.raises(Refused, match=r"such as s3://published/scores/theirs\.csv"):
        publisher.publish(asked(5, if_exists=IfExists.REPLACE), [batch(0, 5)])
    assert published(publisher).num_rows == 10


def test_ids_that_repeat_are_refused_before_anything_is_published(publisher: FilesPublisher) -> None:
    with pytest.raises(JobFailed, match="1 rows have ids"):
        publisher.publish(asked(11), [batch(0, 10), batch(3, 4)])
    assert not any(key.startswith("_") for key in keys(publisher))
