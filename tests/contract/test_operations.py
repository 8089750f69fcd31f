"""The commands cancel, retry, resume, redrive and gc: what they print, and how they exit."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.samples import new_commit, new_job
from tests.contract.stored_jobs import messages_in, put_rejects, store_job
from tests.contract.warehouse_place import Place
from tests.e2e.world import Answer, run_skfleet

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.states import JobState

OK, USAGE, REFUSED = 0, 2, 3


@pytest.fixture
def cloud(emptied_cloud: Cloud) -> Cloud:
    """The module's fleet; each test has jobs of its own."""
    return emptied_cloud


@pytest.fixture
def cli(cloud: Cloud, aws_endpoint: str, tmp_path: Path) -> Commands:
    """The command line, talking to that fleet."""
    environment = {
        "SKFLEET_FLEET": cloud.names.fleet,
        "SKFLEET_BUCKET": cloud.store.bucket,
        "SKFLEET_AWS_ENDPOINT_URL": aws_endpoint,
    }
    return Commands(tmp_path, environment)


class Commands:
    """Runs commands in a folder of their own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def __call__(self, *words: str, **environment: str) -> Answer:
        return run_skfleet(list(words), cwd=self._folder, environment=self._environment | environment)


def test_cancel_says_what_it_did_and_may_be_said_again(cloud: Cloud, cli: Commands) -> None:
    job = store_job(cloud).job
    first = cli("cancel", job)
    assert (first.code, first.out) == (OK, f"Job {job} is cancelled; public.scores stays as it is.\n")
    again = cli("cancel", job, "--json")
    assert again.code == OK
    sentence = again.json.pop("sentence")
    assert again.json | {"sentence": sentence} == {
        "schema": "skfleet.cancelled/1",
        "job": job,
        "state": "CANCELLED",
        "run": 1,
        "changed": False,
        "sent": 0,
        "sentence": f"Job {job} is CANCELLED already; nothing is left to cancel.",
    }


def test_cancel_asks_the_warehouse_about_a_job_that_publishes(
    cloud: Cloud, cli: Commands, place: Place
) -> None:
    record = new_job(output_table=TableName(schema_name=place.schema, name="scores"))
    cloud.tracker.create_job(record, token=record.token)
    cloud.tracker.begin_publishing(record.job, run=1)
    blind = cli("cancel", record.job)
    assert blind.code == 4
    assert "SKFLEET_WAREHOUSE_URL" in blind.sentence
    assert cli("cancel", record.job, SKFLEET_WAREHOUSE_URL=place.server.url).code == OK
    assert cloud.tracker.job(record.job).state is JobState.CANCELLED


def test_retry_and_resume_say_what_they_sent(cloud: Cloud, cli: Commands) -> None:
    job = store_job(cloud, state=JobState.FAILED).job
    refused = cli("resume", job)
    assert refused.code == REFUSED
    assert f"skfleet retry {job}" in refused.sentence
    retried = cli("retry", job, "--json")
    assert retried.code == OK
    assert (retried.json["schema"], retried.json["run"], retried.json["sent"]) == ("skfleet.retried/1", 2, 3)
    assert len(messages_in(cloud)) == 3
    resumed = cli("resume", job, "--json")
    assert (resumed.json["schema"], resumed.json["sent"]) == ("skfleet.resumed/1", 3)
    assert cli("retry", job).out.startswith(f"Job {job} is RUNNING already, in run 2;")


def test_a_job_that_succeeded_is_not_cancelled(cloud: Cloud, cli: Commands) -> None:
    answer = cli("cancel", store_job(cloud, state=JobState.SUCCEEDED).job, "--json")
    assert (answer.code, answer.json["exit_code"]) == (REFUSED, REFUSED)
    assert "has succeeded" in answer.json["error"]


def test_rejects_lists_rows_up_to_a_limit_and_counts_them_all(cloud: Cloud, cli: Commands) -> None:
    job = store_job(cloud).job
    cloud.tracker.commit(new_commit(job, 0, rejects_key=put_rejects(cloud, job, 0, "a")))
    some = cli("rejects", job, "--limit", "1")
    assert (some.code, some.out) == (OK, "id  reason  quarantined\n0   odd     True\n")
    assert "1 more; list them with --limit 2" in some.err
    assert cli("rejects", job, "--json").json == {
        "schema": "skfleet.rejects/1",
        "job": job,
        "rows": 2,
        "rejects": [
            {"id": "0", "reason": "odd", "quarantined": True},
            {"id": "1", "reason": "odd", "quarantined": False},
        ],
    }


def test_redrive_shows_first_what_it_then_does(cloud: Cloud, cli: Commands) -> None:
    live, ended = store_job(cloud).job, store_job(cloud, state=JobState.CANCELLED).job
    for job in (live, live, ended):
        cloud.dead_letters.send([f'{{"schema_version":1,"kind":"publish","job":"{job}","run":1}}'])
    would = cli("redrive", "--dry-run")
    assert would.out == (
        f"2 dead letters would be sent back to the queue ({live}: 2); 1 dead letter would be dropped, "
        f"because the job has ended or is at another run ({ended}: 1).\n"
    )
    did = cli("redrive", "--limit", "10", "--json")
    assert did.json == {
        "schema": "skfleet.redriven/1",
        "dry_run": False,
        "sent": {live: 2},
        "dropped": {ended: 1},
        "newer": 0,
        "unreadable": 0,
    }
    assert cli("redrive").out == "0 dead letters sent back to the queue.\n"


def test_gc_shows_first_what_it_then_removes(cloud: Cloud, cli: Commands) -> None:
    job = store_job(cloud, state=JobState.CANCELLED).job
    cloud.store.put(cloud.names.output(job, 0, "a"), b"x" * 1_500)
    would = cli("gc", "--dry-run")
    assert would.out.splitlines()[-1] == "1 object would be removed, 1.5 kB."
    assert would.out.splitlines()[1].split() == [job, "job", "cancelled", "1", "1.5", "kB"]
    did = cli("gc", "--older-than", "0.5", "--json")
    assert (did.json["schema"], did.json["objects"], did.json["bytes"]) == ("skfleet.gc/1", 1, 1_500)
    assert did.json["removed"] == [{"job": job, "why": "cancelled", "objects": 1, "bytes": 1_500}]
    assert cli("gc").out == "0 objects removed, 0 bytes.\n"
    assert cli("gc", "--older-than", "-1").code == USAGE
