"""Bundles that a worker must not take, and bundles that only this host cannot take."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.integration.worker_fleet import MODEL, Fleet

from skfleet_common.contracts.errors import BundleRefused, NotReproducibleHere
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.contracts.states import JobState
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of
from skfleet_worker.attempt import carry_out
from skfleet_worker.bench import Workbench
from skfleet_worker.models import Models
from skfleet_worker.protocol import Assignment, Ending


@pytest.fixture
def bench(fleet: Fleet) -> Iterator[Workbench]:
    """A scorer's workbench in this process."""
    settings = fleet.settings.model_copy(
        update={"warehouse_url": fleet.server.url, "cache_dir": fleet.folder / "cache"}
    )
    bench = Workbench.set_up(settings, worker=f"test-{os.getpid()}", seat=0, report=lambda _rows: None)
    with closing(bench.cloud):
        yield bench


def register_with(fleet: Fleet, **changed: object) -> str:
    """Register the fleet's bundle with another manifest, whose digest is right; give that."""
    manifest = json.dumps(json.loads(fleet.files[MANIFEST_FILE]) | changed).encode()
    digest = digest_of(manifest)
    for name, raw in (fleet.files | {MANIFEST_FILE: manifest}).items():
        fleet.cloud.store.put(fleet.cloud.names.bundle_file(MODEL, digest, name), raw)
    return digest


@pytest.mark.parametrize("name", ["../../planted", "/planted", "..", "other.bin", "manifest.json"])
def test_a_file_that_no_bundle_has_is_never_fetched(fleet: Fleet, tmp_path: Path, name: str) -> None:
    listed = json.loads(fleet.files[MANIFEST_FILE])["files"]
    digest = register_with(fleet, files=[*listed, listed[0] | {"name": name}])
    cache = tmp_path / "deep" / "cache"
    with pytest.raises(BundleRefused, match="does not list the files of a bundle"):
        Models(fleet.cloud, cache).open(MODEL, digest)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{digest}.lock"]


def test_a_host_that_computes_otherwise_leaves_the_chunk_to_others(fleet: Fleet, bench: Workbench) -> None:
    versions = json.loads(fleet.files[MANIFEST_FILE])["versions"]
    digest = register_with(fleet, versions=versions | {"numpy": "0.9.1"})
    job = fleet.submit(rows=1_000)
    key = fleet.cloud.names.spec(job)
    spec = JobSpec.from_json(fleet.cloud.store.get(key)).model_copy(update={"digest": digest})
    fleet.cloud.store.put(key, spec.to_json())
    (chunk,) = fleet.plan(job).chunks
    message = ChunkMessage(job=job, run=1, position=0, run_chunks=1, chunk=chunk)
    for failures in range(bench.settings.max_attempts - 1):
        again = message.model_copy(update={"failures": failures})
        done = carry_out(Assignment(again, receive_count=9), bench)
        assert done.ending is Ending.RELEASE
        assert done.delay_seconds >= 0
    assert fleet.cloud.tracker.job(job).state is JobState.RUNNING
    last = message.model_copy(update={"failures": bench.settings.max_attempts - 1})
    done = carry_out(Assignment(last, receive_count=1), bench)
    assert done.ending is Ending.ACK
    record = fleet.cloud.tracker.job(job)
    assert record.state is JobState.FAILED
    assert "made with numpy 0.9.1" in str(record.reason)


def test_the_copy_of_a_bundle_that_is_right_is_not_fetched_again(fleet: Fleet, tmp_path: Path) -> None:
    versions = json.loads(fleet.files[MANIFEST_FILE])["versions"]
    digest = register_with(fleet, versions=versions | {"scikit-learn": "0.9.1"})
    models = Models(fleet.cloud, tmp_path)
    with pytest.raises(NotReproducibleHere):
        models.open(MODEL, digest)
    fleet.cloud.store.client.delete_object(
        Bucket=fleet.cloud.store.bucket, Key=fleet.cloud.names.bundle_file(MODEL, digest, "model.skops")
    )
    with pytest.raises(NotReproducibleHere):
        models.open(MODEL, digest)
