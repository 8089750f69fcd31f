"""What a job has committed, streamed or named: either way it is proven to be that, and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.contract.publications import LEDGER, publication
from tests.contract.samples import new_commit, new_job
from tests.contract.warehouse_place import REDSHIFT, Place
from tests.redshift.place import RedshiftPlace

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import Commit, ModelRef, OutputColumn
from skfleet_common.model.sketch import SKETCH_KEY, Sketch, Sketches
from skfleet_worker.committed import CommittedParts
from skfleet_worker.numbering import Numbering
from skfleet_worker.shift import Gathered


@pytest.fixture
def job(module_cloud: Cloud) -> Iterator[str]:
    """A job whose objects are removed again."""
    name = new_job(chunks=1, rows=1).job
    yield name
    module_cloud.store.delete(list(module_cloud.store.list_keys(module_cloud.names.job_prefix(name))))


def stored(cloud: Cloud, job: str, chunk: int, rows: int, tmp_path: Path, *, note: str = "") -> Commit:
    """Store an output with a sketch of its rows, as a worker does, and give its commit."""
    sketch = Sketches(models=(Sketch(rows=rows),))
    table = pa.table({"id": [str(n) for n in range(rows)]})
    path = tmp_path / f"{chunk}.parquet"
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({SKETCH_KEY: sketch.to_json(), "note": note})
    key = cloud.names.output(job, chunk, "a")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert cloud.store.put_file_new(key, path, sha256=sha256)
    return new_commit(job, chunk, rows_read=rows, rows_scored=rows, output_key=key, output_sha256=sha256)


def parts_of(cloud: Cloud, job: str, commits: list[Commit], scratch: Path) -> CommittedParts:
    spec: Any = SimpleNamespace(
        job=job, files=None, models=(ModelRef(name="m", digest="0" * 64),), model_names=("m",), max_drift=None
    )
    bench: Any = SimpleNamespace(
        cloud=cloud,
        scratch=scratch,
        settings=SimpleNamespace(batch_rows=3),
        report=lambda _rows: None,
        check_lease=lambda: None,
    )
    plan: Any = SimpleNamespace(chunks=())
    numbering = Numbering.of(spec, plan, commits)
    return CommittedParts(job, commits, bench, Gathered(cloud, spec), numbering)


def test_what_is_named_is_what_was_committed_and_what_is_streamed(
    module_cloud: Cloud, job: str, tmp_path: Path
) -> None:
    cloud = module_cloud
    # A footer that does not fit into the first look, too.
    commits = [stored(cloud, job, n, n + 1, tmp_path, note="x" * (n * 100_000)) for n in range(3)]
    commits.append(new_commit(job, 3, rows_scored=0, rows_rejected=10))
    cloud.store.put(cloud.names.output(job, 0, "lost"), b"of an attempt that lost")
    named, streamed = (parts_of(cloud, job, commits, tmp_path) for _ in range(2))
    with named.files() as url:
        assert url is not None
        key = url.removeprefix(f"s3://{cloud.store.bucket}/")
        assert key.startswith(cloud.names.job_prefix(job))
        listed = json.loads(cloud.store.get(key))["entries"]
    assert [entry["url"] for entry in listed] == [cloud.store.url(str(c.output_key)) for c in commits[:3]]
    assert all(entry["mandatory"] for entry in listed)
    assert [entry["meta"]["content_length"] for entry in listed] == [
        len(cloud.store.get(str(commit.output_key))) for commit in commits[:3]
    ]
    assert not cloud.store.exists(key)
    assert sum(batch.num_rows for batch in streamed.batches()) == 6
    assert named.gathered._merged == streamed.gathered._merged == Sketches(models=(Sketch(rows=6),))


def test_a_job_without_rows_names_nothing(module_cloud: Cloud, job: str, tmp_path: Path) -> None:
    with parts_of(module_cloud, job, [new_commit(job, 0, rows_scored=0)], tmp_path).files() as url:
        assert url is None


def other_file() -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table({"id": ["0", "1"]}), written)
    return written.getvalue()


@pytest.mark.parametrize(
    ("body", "said"),
    [(None, "was deleted"), (other_file(), "is not what was committed"), (b"", "is not what was committed")],
)
def test_an_output_that_is_not_the_committed_one_is_neither_named_nor_streamed(
    module_cloud: Cloud, job: str, tmp_path: Path, body: bytes | None, said: str
) -> None:
    cloud = module_cloud
    commits = [stored(cloud, job, n, 2, tmp_path) for n in range(2)]
    key = str(commits[1].output_key)
    cloud.store.delete([key])
    if body is not None:
        cloud.store.put(key, body)
    parts = parts_of(cloud, job, commits, tmp_path)
    with pytest.raises(JobFailed, match=f"output of chunk 1 {said}.*skfleet retry {job}"), parts.files():
        raise AssertionError
    with pytest.raises(JobFailed, match=f"output of chunk 1 {said}"):
        list(parts_of(cloud, job, commits, tmp_path).batches())


def test_a_commit_that_counts_other_rows_than_its_output_is_not_named(
    module_cloud: Cloud, job: str, tmp_path: Path
) -> None:
    commit = stored(module_cloud, job, 0, 2, tmp_path).model_copy(update={"rows_scored": 3})
    with (
        pytest.raises(JobFailed, match="is not what was committed"),
        parts_of(module_cloud, job, [commit], tmp_path).files(),
    ):
        raise AssertionError


def test_an_output_that_is_exchanged_while_the_warehouse_reads_it_fails_the_job(
    module_cloud: Cloud, job: str, tmp_path: Path
) -> None:
    commit = stored(module_cloud, job, 0, 2, tmp_path)
    parts = parts_of(module_cloud, job, [commit], tmp_path)
    with pytest.raises(JobFailed, match="was exchanged while the warehouse read it"), parts.files():
        module_cloud.store.put(str(commit.output_key), other_file())


def test_a_load_that_fails_leaves_no_list_behind(module_cloud: Cloud, job: str, tmp_path: Path) -> None:
    commit = stored(module_cloud, job, 0, 2, tmp_path)
    with pytest.raises(LookupError), parts_of(module_cloud, job, [commit], tmp_path).files():
        raise LookupError
    assert [
        key for key in module_cloud.store.list_keys(module_cloud.names.job_prefix(job)) if "load" in key
    ] == []


IDS = (OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),)


@REDSHIFT
def test_redshift_loads_what_was_committed_and_no_other_object(
    place: Place, module_cloud: Cloud, job: str, tmp_path: Path
) -> None:
    cloud = module_cloud
    commits = [stored(cloud, job, n, n + 1, tmp_path).model_copy(update={"chunk": n}) for n in range(3)]
    cloud.store.put(cloud.names.output(job, 0, "lost"), other_file())
    asked = publication(place, rows=6, job=job, columns=IDS)
    parts = parts_of(cloud, job, commits, tmp_path)
    assert place.warehouse.publisher.publish(asked, parts).is_new
    assert place.sql("SELECT id FROM scores ORDER BY id") == [(0,), (0,), (0,), (1,), (1,), (2,)]


@REDSHIFT
@pytest.mark.parametrize("is_gone", [False, True])
def test_an_object_that_changes_while_redshift_loads_it_publishes_nothing(
    redshift: RedshiftPlace, place: Place, module_cloud: Cloud, job: str, tmp_path: Path, *, is_gone: bool
) -> None:
    """It is written anew after the first look, and before or while Redshift reads it."""
    cloud = module_cloud
    commit = stored(cloud, job, 0, 2, tmp_path)
    parts = parts_of(cloud, job, [commit], tmp_path)

    def exchange() -> None:
        cloud.store.delete([str(commit.output_key)])
        if not is_gone:
            # As long as the one that was there, so that COPY does not notice.
            same = io.BytesIO()
            pq.write_table(pa.table({"id": ["5", "6"]}), same)
            cloud.store.put(str(commit.output_key), same.getvalue())

    class Exchanged:
        batches = parts.batches

        @contextmanager
        def files(self) -> Iterator[str | None]:
            with parts.files() as url:
                key = str(url).removeprefix(f"s3://{cloud.store.bucket}/")
                exchange()
                if not is_gone:
                    listed = json.loads(cloud.store.get(key))
                    size = len(cloud.store.get(str(commit.output_key)))
                    listed["entries"][0]["meta"]["content_length"] = size
                    cloud.store.put(key, json.dumps(listed).encode())
                yield url

    asked = publication(place, rows=2, job=job, columns=IDS)
    said = "are not what was listed" if is_gone else "was exchanged while the warehouse read it"
    with pytest.raises(JobFailed, match=f"{said}.*skfleet retry {job}"):
        place.warehouse.publisher.publish(asked, Exchanged())
    assert place.tables() == [LEDGER]
    assert place.sql(f"SELECT * FROM {LEDGER}") == []
