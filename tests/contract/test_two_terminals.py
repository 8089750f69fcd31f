"""The same verb twice at once, or two verbs at once: real processes that begin at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from tests.contract.samples import new_commit, new_job
from tests.contract.stored_jobs import messages_in, store_job, work_off
from tests.contract.warehouse_place import Place
from tests.e2e.command import run_together
from tests.e2e.world import Answer, clean_environment

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, encode
from skfleet_common.contracts.states import JobState

#: As many as make a verb take longer than two processes need to begin together.
CHUNKS = 60

Terminals = Callable[..., Sequence[Answer]]


@pytest.fixture
def cloud(emptied_cloud: Cloud) -> Cloud:
    """The module's fleet; each test has jobs of its own."""
    return emptied_cloud


@pytest.fixture
def terminals(cloud: Cloud, aws_endpoint: str, tmp_path: Path) -> Terminals:
    """Runs commands, each in a terminal of its own."""
    environment = clean_environment() | {
        "SKFLEET_FLEET": cloud.names.fleet,
        "SKFLEET_BUCKET": cloud.store.bucket,
        "SKFLEET_AWS_ENDPOINT_URL": aws_endpoint,
    }

    def run(*commands: str, **given: str) -> list[Answer]:
        words = [[*command.split(), "--json"] for command in commands]
        return [
            Answer(*answer)
            for answer in run_together(words, cwd=tmp_path, environment=environment | given, timeout=60)
        ]

    return run


def failed_job(cloud: Cloud) -> str:
    """Give a job that FAILED with one of three chunks done, and that chunk's output there."""
    job = store_job(cloud, chunks=CHUNKS).job
    for chunk in range(0, CHUNKS, 3):
        key = cloud.names.output(job, chunk, "a")
        cloud.store.put(key, b"12345")
        cloud.tracker.commit(new_commit(job, chunk, output_key=key))
    assert cloud.tracker.move(job, JobState.FAILED, run=1, reason="The table changed.")
    return job


def assert_goes_on_to_its_end(cloud: Cloud, job: str, *, run: int, chunks: int) -> None:
    """Each chunk of the run has a message at least, and workers need no more than these."""
    assert set(work_off(cloud)) <= set(range(CHUNKS))
    record = cloud.tracker.job(job)
    assert (record.state, record.run, record.run_chunks) == (JobState.PUBLISHING, run, chunks)
    assert set(map(encode, messages_in(cloud))) == {encode(PublishMessage(job=job, run=run))}


def test_two_cancels_are_one(cloud: Cloud, terminals: Terminals) -> None:
    job = store_job(cloud).job
    answers = terminals(f"cancel {job}", f"cancel {job}")
    assert [answer.code for answer in answers] == [0, 0]
    assert [answer.json["state"] for answer in answers] == ["CANCELLED"] * 2
    assert sorted(answer.json["changed"] for answer in answers) == [False, True]


def test_two_cancels_of_a_publication_are_one(cloud: Cloud, terminals: Terminals, place: Place) -> None:
    record = new_job(chunks=0, rows=0, output_table=TableName(schema_name=place.schema, name="scores"))
    cloud.tracker.create_job(record, token=record.token)
    assert cloud.tracker.begin_publishing(record.job, run=1)
    answers = terminals(*[f"cancel {record.job}"] * 2, SKFLEET_WAREHOUSE_URL=place.server.url)
    assert [answer.code for answer in answers] == [0, 0]
    assert sorted(answer.json["changed"] for answer in answers) == [False, True]
    assert cloud.tracker.job(record.job).state is JobState.CANCELLED
    with closing(psycopg2.connect(place.server.url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT abandoned FROM {place.schema}.skfleet_publications WHERE job = %s",
            (record.job,),
        )
        assert cursor.fetchall() == [(True,)]


def test_two_retries_are_one_run_over_the_same_chunks(cloud: Cloud, terminals: Terminals) -> None:
    job = failed_job(cloud)
    answers = terminals(f"retry {job}", f"retry {job}")
    assert [(answer.code, answer.json["run"]) for answer in answers] == [(0, 2)] * 2
    assert_goes_on_to_its_end(cloud, job, run=2, chunks=CHUNKS - CHUNKS // 3)


def test_two_resumes_send_all_that_is_missing(cloud: Cloud, terminals: Terminals) -> None:
    job = store_job(cloud, chunks=CHUNKS, state=JobState.SUBMITTING).job
    answers = terminals(f"resume {job}", f"resume {job}")
    assert [(answer.code, answer.json["sent"]) for answer in answers] == [(0, CHUNKS)] * 2
    assert_goes_on_to_its_end(cloud, job, run=1, chunks=CHUNKS)


def test_two_redrives_send_every_letter_once(cloud: Cloud, terminals: Terminals) -> None:
    job = store_job(cloud, chunks=CHUNKS).job
    letters = [encode(PublishMessage(job=job, run=1, failures=number)) for number in range(60)]
    cloud.dead_letters.send(letters)
    answers = terminals("redrive", "redrive")
    assert [answer.code for answer in answers] == [0, 0]
    assert sum(sum(answer.json["sent"].values()) for answer in answers) == 60
    assert sorted(map(encode, messages_in(cloud))) == sorted(letters)
    assert cloud.dead_letters.approximate_depth().total == 0


def test_a_cancel_and_a_resume_at_once_leave_a_cancelled_job(cloud: Cloud, terminals: Terminals) -> None:
    job = store_job(cloud, chunks=CHUNKS).job
    answers = terminals(f"resume {job}", f"cancel {job}")
    assert [answer.code for answer in answers] == [0, 0]
    assert cloud.tracker.job(job).state is JobState.CANCELLED
    # What was sent is moot: workers ack it unrun.
    assert all(isinstance(message, ChunkMessage) for message in messages_in(cloud))


def test_a_retry_and_a_clean_up_at_once_agree_on_who_was_first(cloud: Cloud, terminals: Terminals) -> None:
    for _ in range(2):
        job = failed_job(cloud)
        retried, swept = terminals(f"retry {job}", "gc --older-than 0")
        assert swept.code == 0
        outputs = list(cloud.store.list_keys(f"{cloud.names.job_prefix(job)}out/"))
        record = cloud.tracker.job(job)
        if record.state is JobState.FAILED:
            assert (retried.code, record.run, outputs) == (3, 1, [])
            assert "gc took its outputs" in retried.json["error"]
            assert messages_in(cloud) == []
        else:
            assert (retried.code, len(outputs)) == (0, CHUNKS // 3)
            assert_goes_on_to_its_end(cloud, job, run=2, chunks=CHUNKS - CHUNKS // 3)
