"""The verdict itself: each thing that it promises to notice is done to a job that went well, and undone."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.chaos import verdict
from tests.chaos.place import Place
from tests.chaos.trial import Trial

from skfleet.local.processes import MARK


@pytest.fixture(scope="module")
def ended(chaos: Place) -> Iterator[Trial]:
    """A trial without faults that ended well."""
    chaos.settle()
    trial = Trial(chaos, [], rng=random.Random(1), name=f"verdict_{os.getpid()}")
    trial.play()
    assert verdict.problems(trial) == []
    yield trial
    assert verdict.problems(trial) == []
    trial.clean_up()


@contextmanager
def rows_kept(trial: Trial) -> Iterator[None]:
    """Put the published rows back afterwards."""
    output = trial.output
    trial.place.sql(f"CREATE TABLE {output}_kept AS SELECT * FROM {output}")
    try:
        yield
    finally:
        trial.place.sql(f"TRUNCATE {output}; INSERT INTO {output} SELECT * FROM {output}_kept")
        trial.place.sql(f"DROP TABLE {output}_kept")


LAST = "(SELECT max(id) FROM {output})"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE {output} SET proba_true = proba_true + 1e-16 WHERE id = " + LAST, "probabilities"),
        ("UPDATE {output} SET prediction = NOT prediction WHERE id = " + LAST, "predictions"),
        ("INSERT INTO {output} SELECT * FROM {output} WHERE id = 10", "2401 rows"),
        ("DELETE FROM {output} WHERE id = 10", "2399 rows"),
        ("UPDATE {output} SET id = 11 WHERE id = 10", "not exactly"),
    ],
)
def test_a_changed_row_is_noticed(ended: Trial, change: str, told: str) -> None:
    with rows_kept(ended):
        ended.place.sql(change.format(output=ended.output))
        problems = verdict.problems(ended)
    assert [told in problem for problem in problems].count(True) == 1, problems


def test_a_second_publication_is_noticed(ended: Trial) -> None:
    where = "WHERE job = %s AND run = 2"
    ended.place.sql(
        'INSERT INTO skfleet_publications (job, run, "table", rows) VALUES (%s, 2, %s, 1)',
        ended.job,
        ended.output,
    )
    try:
        problems = verdict.problems(ended)
    finally:
        ended.place.sql(f"DELETE FROM skfleet_publications {where}", ended.job)
    assert problems == [
        "2 publications stand in the ledger for the output table",
        "2 publications of the job stand in the ledger",
    ]


def test_a_staging_table_that_is_left_is_noticed(ended: Trial) -> None:
    ended.place.sql("CREATE TABLE skfleet_staging_verdict ()")
    try:
        problems = verdict.problems(ended)
    finally:
        ended.place.sql("DROP TABLE skfleet_staging_verdict")
    assert problems == ["staging tables are left: skfleet_staging_verdict"]


def test_a_message_that_is_left_is_noticed_dead_or_not(ended: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "QUIET_SECONDS", 0.0)
    cloud = ended.place.cloud
    cloud.dead_letters.send(["{}"])
    cloud.queue.send_one("{}", delay_seconds=60)
    try:
        problems = verdict.problems(ended)
    finally:
        for queue in (cloud.dead_letters, cloud.queue):
            queue.client.purge_queue(QueueUrl=queue.url)
    assert [problem.split(" Depth")[0] for problem in problems] == [
        "the queue still holds",
        "1 dead letters are left",
    ]


def test_a_stray_process_is_noticed(ended: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "STRAY_SECONDS", 0.5)
    environment = os.environ | {MARK: f"{ended.place.token}:ordinary"}
    with subprocess.Popen(["sleep", "60"], env=environment) as stray:
        try:
            problems = verdict.problems(ended)
        finally:
            stray.kill()
    assert problems == [f"processes are left over: {stray.pid} sleep 60"]


def test_an_object_that_is_damaged_or_gone_is_noticed(ended: Trial) -> None:
    store, commit = ended.place.cloud.store, ended.commits()[0]
    assert commit.output_key is not None
    raw = store.get(commit.output_key)
    try:
        for damaged in (b"x", raw[:-1], None):
            if damaged is None:
                store.delete([commit.output_key])
            else:
                store.put(commit.output_key, damaged)
            assert f"the object of chunk {commit.chunk} is not what was committed" in verdict.problems(ended)
    finally:
        store.put(commit.output_key, raw)


def test_a_certificate_that_is_damaged_or_gone_or_wrong_is_noticed(ended: Trial) -> None:
    cloud = ended.place.cloud
    key = cloud.names.certificate(ended.job)
    raw = cloud.store.get(key)
    try:
        cloud.store.put(key, raw[:-20])
        assert verdict.problems(ended)[0].startswith("there is no certificate")
        cloud.store.put(key, raw.replace(b'"rows_read":2400', b'"rows_read":2401'))
        assert any("says rows_read = 2401" in problem for problem in verdict.problems(ended))
        cloud.store.delete([key])
        assert verdict.problems(ended)[0].startswith("there is no certificate")
    finally:
        cloud.store.put(key, raw)


def test_a_commit_that_changed_is_noticed(ended: Trial) -> None:
    chunk = 1
    was = ended.seen[chunk]
    ended.seen[chunk] = was.model_copy(update={"attempt": "another"})
    try:
        assert verdict.problems(ended) == [f"the commit of chunk {chunk} was changed"]
    finally:
        ended.seen[chunk] = was
