"""Stored objects that are not what they were: a worker meets damaged plans, specs and manifests."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.integration.worker_fleet import MODEL, Fleet
from tests.mutations import CANARY, damaged

from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.contracts.shapes import NewerShape, StoredShape, UnreadableShape
from skfleet_common.contracts.states import JobState
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of
from skfleet_common.model.manifest import FeatureManifest

#: Of each kind of object.
DAMAGES = 70
#: A job of one chunk is enough to meet all of them.
ROWS = 10


def with_damaged_plan(fleet: Fleet, chance: random.Random) -> str:
    job = fleet.submit(rows=ROWS)
    _damage(fleet, fleet.cloud.names.plan(job), chance, ChunkPlan)
    return job


def with_damaged_spec(fleet: Fleet, chance: random.Random) -> str:
    job = fleet.submit(rows=ROWS)
    _damage(fleet, fleet.cloud.names.spec(job), chance, JobSpec)
    return job


def with_damaged_manifest(fleet: Fleet, chance: random.Random) -> str:
    """Half are stored below the digest that they have now, so that only their reader can refuse them."""
    raw = _damaged(fleet.files[MANIFEST_FILE], chance, FeatureManifest)
    digest = digest_of(raw) if chance.random() < 0.5 else f"{chance.getrandbits(256):064x}"
    for name, content in (fleet.files | {MANIFEST_FILE: raw}).items():
        fleet.cloud.store.put(fleet.cloud.names.bundle_file(MODEL, digest, name), content)
    return fleet.submit(rows=ROWS, digest=digest)


def _damage(fleet: Fleet, key: str, chance: random.Random, shape: type[StoredShape]) -> None:
    fleet.cloud.store.put(key, _damaged(fleet.cloud.store.get(key), chance, shape))


def _damaged(raw: bytes, chance: random.Random, shape: type[StoredShape]) -> bytes:
    """Give damage that no newer version may have written: for that one, a worker rightly waits."""
    while True:
        found = damaged(raw, chance)
        try:
            shape.from_json(found)
        except NewerShape:
            continue
        except UnreadableShape:
            pass
        return found


def test_jobs_with_damaged_objects_end_with_a_sentence_and_the_worker_lives(fleet: Fleet) -> None:
    chance = random.Random(11)  # noqa: S311  (damage, not a secret)
    kinds: list[Callable[[Fleet, random.Random], str]] = [
        with_damaged_plan,
        with_damaged_spec,
        with_damaged_manifest,
    ]
    jobs = {kind(fleet, chance): kind.__name__ for kind in kinds for _ in range(DAMAGES)}
    whole = fleet.submit()
    worker = fleet.start_worker(scorers=2, max_attempts=1, lease_seconds=10)
    ended: dict[str, int] = dict.fromkeys(jobs.values(), 0)
    for job, kind in jobs.items():
        record = fleet.wait(job, within_seconds=120)
        if record.state is JobState.SUCCEEDED:
            continue  # what was damaged does not matter to this job
        ended[kind] += 1
        reason = str(record.reason)
        assert record.state is JobState.FAILED
        assert reason.endswith("."), (kind, reason)
        assert reason.isprintable(), (kind, reason)
        assert CANARY not in reason, (kind, reason)
    assert min(ended.values()) > DAMAGES // 4, ended
    assert fleet.wait(whole).state is JobState.SUCCEEDED
    fleet.assert_published(whole)
    fleet.assert_queue_empty()
    assert worker.said("scorer.died") == []
    assert CANARY not in worker.log.read_text()
    assert worker.stop() == 0
