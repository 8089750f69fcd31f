"""What a worker refuses, and what it says then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import eventually
from tests.integration.worker_fleet import MODEL, Fleet

from skfleet_common.contracts.messages import MESSAGE_VERSION
from skfleet_common.contracts.states import JobState


def test_an_altered_model_fails_the_job_and_is_never_loaded(fleet: Fleet) -> None:
    model = fleet.files["model.skops"]
    fleet.register(fleet.files | {"model.skops": model[:-1] + bytes([model[-1] ^ 1])})
    worker = fleet.start_worker()
    record = fleet.wait(fleet.submit())
    assert record.state is JobState.FAILED
    assert record.reason is not None
    assert "model.skops was altered" in record.reason
    fleet.assert_queue_empty()
    assert worker.process.poll() is None


def test_an_altered_manifest_fails_the_job(fleet: Fleet) -> None:
    fleet.register(fleet.files | {"manifest.json": fleet.files["manifest.json"] + b" "})
    fleet.start_worker()
    record = fleet.wait(fleet.submit())
    assert record.state is JobState.FAILED
    assert "manifest.json" in str(record.reason)


def test_a_deleted_bundle_fails_the_job(fleet: Fleet) -> None:
    key = fleet.cloud.names.bundle_file(MODEL, fleet.digest, "golden.parquet")
    fleet.cloud.store.client.delete_object(Bucket=fleet.cloud.store.bucket, Key=key)
    fleet.start_worker()
    record = fleet.wait(fleet.submit())
    assert record.state is JobState.FAILED
    assert "lacks its file golden.parquet in the store; put it back" in str(record.reason)


def test_a_damaged_copy_in_the_cache_is_fetched_again(fleet: Fleet, tmp_path: Path) -> None:
    worker = fleet.start_worker()
    assert fleet.wait(fleet.submit(rows=1_000)).state is JobState.SUCCEEDED
    assert worker.stop() == 0
    (tmp_path / "cache" / "models" / fleet.digest / "model.skops").write_bytes(b"damaged")
    again = fleet.start_worker()
    assert fleet.wait(fleet.submit(rows=1_000)).state is JobState.SUCCEEDED
    assert again.said("bundle.fetched_again")


@pytest.mark.parametrize("change", ["INSERT INTO drifting VALUES (1000, 5, 'UA')", "DELETE FROM drifting"])
def test_rows_that_come_or_go_after_planning_fail_the_job(standing_fleet: Fleet, change: str) -> None:
    standing_fleet.sql("DROP TABLE IF EXISTS drifting")
    standing_fleet.sql("CREATE TABLE drifting AS SELECT id, miles, carrier FROM flights WHERE id < 1000")
    job = standing_fleet.submit(rows=999, table="drifting")
    # Inside the planned range [1, 1000) only if it was before; key 1000 would be outside.
    standing_fleet.sql(change.replace("1000", "999"))
    record = standing_fleet.wait(job)
    assert record.state is JobState.FAILED
    assert "999 rows were planned" in str(record.reason)
    assert "the table changed while the job ran" in str(record.reason)
    assert standing_fleet.sql(f"SELECT to_regclass('{standing_fleet.output_table(job)}')") == [(None,)]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("DROP COLUMN carrier", "lost its column carrier"),
        ("ALTER COLUMN miles TYPE text", "Column miles of public.altered is of type text now"),
        ("ALTER COLUMN id TYPE integer", "Column id of public.altered is of type integer now"),
    ],
)
def test_columns_that_change_after_planning_fail_the_job(
    standing_fleet: Fleet, change: str, sentence: str
) -> None:
    standing_fleet.sql("DROP TABLE IF EXISTS altered")
    standing_fleet.sql("CREATE TABLE altered AS SELECT id, miles, carrier FROM flights")
    job = standing_fleet.submit(table="altered")
    standing_fleet.sql(f"ALTER TABLE altered {change}")
    record = standing_fleet.wait(job)
    assert record.state is JobState.FAILED
    assert sentence in str(record.reason)


def test_a_column_that_changes_in_mid_job_fails_it_at_once(standing_fleet: Fleet) -> None:
    standing_fleet.sql("DROP TABLE IF EXISTS altered")
    standing_fleet.sql("CREATE TABLE altered AS SELECT id, miles, carrier FROM flights")
    job = standing_fleet.submit(table="altered", chunk_rows=50)
    tracker = standing_fleet.cloud.tracker
    chunks = tracker.job(job).chunks
    # Those who score it have seen the table as it was.
    eventually(lambda: len(tracker.commits(job, range(chunks))) >= 2, every_seconds=0.02)
    standing_fleet.sql("ALTER TABLE altered ALTER COLUMN id TYPE numeric(12,1)")
    record = standing_fleet.wait(job)
    assert record.state is JobState.FAILED
    assert "Column id of public.altered is of type numeric(12,1) now" in str(record.reason)
    commits = tracker.commits(job, range(chunks))
    assert sum(commit.outcome == "done" for commit in commits) < chunks // 2
    assert len([commit for commit in commits if commit.outcome != "done"]) <= 2


def test_an_unreadable_message_goes_to_the_dead_letters_at_once(standing_fleet: Fleet) -> None:
    standing_fleet.cloud.queue.send(["{not json", '{"schema_version": 1, "kind": "dance"}'])
    (worker,) = standing_fleet.workers
    eventually(lambda: standing_fleet.cloud.dead_letters.approximate_depth().total == 2)
    standing_fleet.assert_queue_empty()
    assert standing_fleet.wait(standing_fleet.submit()).state is JobState.SUCCEEDED
    assert worker.process.poll() is None


def test_a_message_of_a_newer_version_is_left_to_newer_workers(fleet: Fleet) -> None:
    fleet.cloud.queue.send([f'{{"schema_version": {MESSAGE_VERSION + 1}, "kind": "dance"}}'])
    worker = fleet.start_worker()
    (released,) = worker.wait_for("delivery.released")
    assert "update the worker" in released["reason"]
    assert fleet.cloud.dead_letters.approximate_depth().total == 0
    assert fleet.cloud.queue.approximate_depth().total == 1


def run_to_end(environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "skfleet_worker", "run"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("SKFLEET_LEESE_SECONDS", "3", 2, "did you mean SKFLEET_LEASE_SECONDS"),
        ("SKFLEET_BUCKET", "", 4, "set SKFLEET_BUCKET"),
        ("SKFLEET_FLEET", "not-there", 4, "There is no queue skfleet-not-there"),
        ("SKFLEET_WAREHOUSE_URL", "", 4, "set SKFLEET_WAREHOUSE_URL"),
        ("SKFLEET_WAREHOUSE_URL", "mysql://db", 2, "skfleet reads PostgreSQL"),
        ("SKFLEET_CACHE_DIR", "/proc/nowhere", 4, "set SKFLEET_CACHE_DIR"),
    ],
)
def test_a_worker_that_cannot_start_says_why_in_one_sentence(
    fleet: Fleet, name: str, value: str, code: int, words: str
) -> None:
    done = run_to_end(fleet.environment() | {name: value}, fleet.folder)
    assert done.returncode == code, done.stderr
    sentences = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(sentences) == 1
    assert words in sentences[0]
