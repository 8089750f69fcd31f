"""Publishing to files: absent or whole, once a job, whoever dies where."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skfleet_common.aws import user_writes
from skfleet_common.aws.rows_at_hand import RowsAtHand
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.user_files import ObjectUrl, UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused
from skfleet_common.contracts.file_sources import FileFormat, FilesOutput
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.contracts.names import FleetNames
from skfleet_common.files import part_files
from skfleet_common.files.published import standing_manifest
from skfleet_common.files.publisher import FilesPublisher
from skfleet_common.tables.port import Publication, Published

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


def publish(
    publisher: FilesPublisher, publication: Publication, rows: Iterable[pa.RecordBatch] = ()
) -> Published:
    parts = RowsAtHand(rows, publisher.store, partial(publisher.names.load, publication.job))
    return publisher.publish(publication, parts)


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
    monkeypatch.setattr(part_files, "FILE_BYTES", 20_000)
    # The least that S3 takes as a part of an upload, so that one file has several.
    monkeypatch.setattr(user_writes, "PART_BYTES", 5 * 1024**2)
    publisher = replace(publisher, output=FilesOutput(uri=URI, format=kind, one_file=one_file))
    rows = 600_000 if kind is FileFormat.CSV and one_file else 300_000
    parts = (batch(first, first + 10_000) for first in range(0, rows, 10_000))
    assert publish(publisher, asked(rows), parts).is_new
    table = published(publisher)
    assert table.schema.field("id").type == pa.int64()
    assert table.schema.field("prediction").type == pa.bool_()
    assert table["id"].to_pylist() == list(range(rows))
    assert (len(keys(publisher)) == 3) == one_file
    assert keys(publisher)[-1].startswith("part-")
    assert keys(publisher)[:2] == ["_SUCCESS", "_manifest.json"]


def test_no_rows_are_a_file_with_columns(publisher: FilesPublisher) -> None:
    publish(publisher, asked(0), [])
    assert published(publisher).schema.names == ["id", "note", "prediction"]


def test_a_publication_happens_once_and_is_carried_out_by_whoever_comes(publisher: FilesPublisher) -> None:
    publication = asked(10)

    class Died(BaseException):
        """The end of a worker."""

    def die(*_: object, **__: object) -> None:
        raise Died

    dying = replace(publisher)
    object.__setattr__(dying, "_put", die)
    with pytest.raises(Died):
        publish(dying, publication, [batch(0, 10)])
    assert not any(key.startswith("_") for key in keys(publisher))
    assert not publisher.abandon(publication.table, job=publication.job, run=1)
    done = publish(publisher, publication, ())
    assert (done.rows, done.is_new) == (10, False)
    assert published(publisher).num_rows == 10
    assert publish(publisher, publication, ()).rows == 10


def test_what_an_attempt_left_that_died_before_it_decided_is_no_output(publisher: FilesPublisher) -> None:
    publication = asked(20)

    def dying() -> Iterator[pa.RecordBatch]:
        yield batch(0, 10)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        publish(publisher, publication, dying())
    publisher.store.client.put_object(
        Bucket="published", Key=f"scores/part-{publication.job}-1-0a1b2c3d-00000.parquet", Body=b"half"
    )
    publish(publisher, publication, [batch(0, 10), batch(10, 20)])
    assert published(publisher).num_rows == 20
    assert len(keys(publisher)) == 3


def test_a_run_that_was_given_up_never_publishes(publisher: FilesPublisher) -> None:
    publication = asked(10)
    assert publisher.abandon(publication.table, job=publication.job, run=1)
    with pytest.raises(JobFailed, match="given up before"):
        publish(publisher, publication, [batch(0, 10)])
    assert keys(publisher) == []
    assert publish(publisher, replace(publication, run=2), [batch(0, 10)]).is_new


def test_a_run_that_is_given_up_while_it_writes_leaves_nothing(publisher: FilesPublisher) -> None:
    publication = asked(10)

    def interrupted() -> Iterator[pa.RecordBatch]:
        yield batch(0, 10)
        publisher.abandon(publication.table, job=publication.job, run=1)

    with pytest.raises(JobFailed, match="given up before"):
        publish(publisher, publication, interrupted())
    assert not any(key.startswith("_") for key in keys(publisher))
    publisher.sweep_unpublished(publication.job, runs=1)
    assert keys(publisher) == []


def test_what_stands_is_kept_or_replaced_whole(publisher: FilesPublisher) -> None:
    publish(publisher, asked(10), [batch(0, 10)])
    before = keys(publisher)
    with pytest.raises(Refused, match="--if-exists replace"):
        publish(publisher, asked(5), [batch(0, 5)])
    with pytest.raises(JobFailed, match="4 rows where 5"):
        publish(publisher, asked(5, if_exists=IfExists.REPLACE), [batch(0, 4)])
    assert published(publisher).num_rows == 10
    publish(publisher, asked(5, if_exists=IfExists.REPLACE), [batch(0, 5)])
    assert published(publisher).num_rows == 5
    assert not {key for key in before if key.startswith("part-")} & set(keys(publisher))


def test_files_of_somebody_else_are_never_replaced(publisher: FilesPublisher) -> None:
    publish(publisher, asked(10), [batch(0, 10)])
    publisher.store.client.put_object(Bucket="published", Key="scores/theirs.csv", Body=b"x")
    with pytest.raises(Refused, match=r"such as s3://published/scores/theirs\.csv"):
        publish(publisher, asked(5, if_exists=IfExists.REPLACE), [batch(0, 5)])
    assert published(publisher).num_rows == 10


def test_ids_that_repeat_are_refused_before_anything_is_published(publisher: FilesPublisher) -> None:
    with pytest.raises(JobFailed, match="1 rows have ids"):
        publish(publisher, asked(11), [batch(0, 10), batch(3, 4)])
    assert not any(key.startswith("_") for key in keys(publisher))


def test_what_was_published_and_replaced_since_stays_replaced(publisher: FilesPublisher) -> None:
    first, second = asked(10), asked(5, if_exists=IfExists.REPLACE)
    publish(publisher, first, [batch(0, 10)])
    publish(publisher, second, [batch(0, 5)])
    again = publish(publisher, first)
    assert (again.rows, again.is_new) == (10, False)
    assert not publisher.abandon(first.table, job=first.job, run=1)
    assert publish(publisher, replace(first, run=2)).rows == 10
    assert published(publisher).num_rows == 5
    assert len(keys(publisher)) == 3


@pytest.mark.parametrize("if_exists", [IfExists.FAIL, IfExists.REPLACE])
def test_of_jobs_that_publish_to_one_prefix_at_once_one_does(
    publisher: FilesPublisher, if_exists: IfExists
) -> None:
    if if_exists is IfExists.REPLACE:
        publish(publisher, asked(3), [batch(0, 3)])
    other = replace(publisher, names=FleetNames("another"))
    ours, theirs = asked(10, if_exists=if_exists), asked(5, if_exists=if_exists)

    def overtaken() -> Iterator[pa.RecordBatch]:
        yield batch(0, 10)
        assert publish(other, theirs, [batch(0, 5)]).is_new

    with pytest.raises(JobFailed, match="Another job published to s3://published/scores/ while"):
        publish(publisher, ours, overtaken())
    assert publisher.abandon(ours.table, job=ours.job, run=1)
    assert published(publisher).num_rows == 5
    assert len(keys(publisher)) == 3


def test_a_manifest_that_names_others_files_takes_none_of_them_away(publisher: FilesPublisher) -> None:
    publish(publisher, asked(10), [batch(0, 10)])
    client = publisher.store.client
    manifest = json.loads(client.get_object(Bucket="published", Key="scores/_manifest.json")["Body"].read())
    for stranger in ("s3://published/theirs.csv", "s3://elsewhere/part.csv", URI + "sub/part.csv"):
        manifest["entries"][0]["url"] = stranger
        client.put_object(Bucket="published", Key="scores/_manifest.json", Body=json.dumps(manifest).encode())
        client.put_object(Bucket="published", Key="theirs.csv", Body=b"x")
        with pytest.raises(Refused, match="skfleet did not publish there"):
            publish(publisher, asked(5, if_exists=IfExists.REPLACE), [batch(0, 5)])
    assert len(keys(publisher)) == 4


class Dying:
    """A client of S3 whose process ends before its n-th call, or after it."""

    def __init__(self, client: object, calls: int, *, is_late: bool) -> None:
        self._client = client
        self._left = calls
        self._is_late = is_late

    def __getattr__(self, name: str) -> object:
        found = getattr(self._client, name)
        if not name.startswith(("put_", "delete_", "get_object", "list_")):
            return found

        def call(**asked: object) -> object:
            self._left -= 1
            if self._left < 0 and not self._is_late:
                raise Death
            answer = found(**asked)
            if self._left < 0:
                raise Death
            return answer

        return call


class Death(BaseException):
    """The end of a worker."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lives=st.lists(
        st.tuples(
            st.sampled_from(["publish", "publish", "abandon"]),
            st.integers(0, 2),
            st.integers(0, 12),
            st.booleans(),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_what_stands_is_whole_whoever_dies_where(
    publisher: FilesPublisher, lives: list[tuple[str, int, int, bool]]
) -> None:
    jobs = [asked(rows, if_exists=IfExists.REPLACE) for rows in (3, 4, 5)]
    told: dict[str, bool] = {}
    for what, of, calls, is_late in lives:
        job = jobs[of]
        client = Dying(publisher.store.client, calls, is_late=is_late)
        mortal = replace(publisher, store=replace(publisher.store, client=client))
        with suppress(Death, Refused, JobFailed):
            if what == "publish":
                publish(mortal, job, [batch(0, job.rows)])
                assert told.setdefault(job.job, True), "it was given up"
            else:
                is_published = not mortal.abandon(job.table, job=job.job, run=1)
                assert told.setdefault(job.job, is_published) == is_published
    standing = standing_manifest(UserObjects(UserFiles(publisher.store.client, "")), ObjectUrl.parse(URI))
    done = {it for it, is_published in told.items() if is_published}
    if standing is None:
        assert not done
    else:
        assert published(publisher).num_rows == standing.manifest.rows
        assert all(standing.manifest.rows_of(it) is not None for it in done)
    last = asked(7, if_exists=IfExists.REPLACE)
    for job in jobs:
        publisher.abandon(job.table, job=job.job, run=1)
    publish(publisher, last, [batch(0, 7)])
    assert published(publisher).num_rows == 7
    assert len(keys(publisher)) == 3, "nothing of the others is left"
    for key in keys(publisher):
        publisher.store.client.delete_object(Bucket="published", Key=f"scores/{key}")
