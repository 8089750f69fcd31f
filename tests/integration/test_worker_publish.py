"""What becomes of a job whose publishing goes wrong, seen by the scorer that carries it out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import psycopg2
import pytest
from structlog.testing import capture_logs
from tests.integration.worker_fleet import Fleet

from skfleet.progress import Silent
from skfleet.retry import retry
from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.rows_at_hand import RowsAtHand
from skfleet_common.aws.tracker_table import block_pk, commit_sk, to_item
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import IfExists, JobSpec
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode
from skfleet_common.contracts.states import JobState
from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres import connect, publisher
from skfleet_worker.attempt import carry_out
from skfleet_worker.bench import Workbench
from skfleet_worker.protocol import Assignment, Ending, Finished
from skfleet_worker.publish import give_up_publishing


def publish(job: str, bench: Workbench, *, failures: int = 0, give_up: str | None = None) -> Finished:
    message = PublishMessage(job=job, run=1, failures=failures)
    return carry_out(Assignment(message, receive_count=1, give_up_because=give_up), bench)


def taken(fleet: Fleet) -> list[Delivery]:
    """Take all messages from the queue."""
    found = []
    while deliveries := fleet.cloud.queue.receive():
        for delivery in deliveries:
            fleet.cloud.queue.ack(delivery)
        found += deliveries
    return found


def chunk_messages(job: str, fleet: Fleet, *, run: int = 1) -> list[ChunkMessage]:
    """Take all messages from the queue, and give those for chunks of a run."""
    messages = [decode(delivery.body) for delivery in taken(fleet)]
    return [it for it in messages if isinstance(it, ChunkMessage) and (it.job, it.run) == (job, run)]


def scored(fleet: Fleet, bench: Workbench, **asked: object) -> str:
    """Give a job of three chunks that are all scored, and that waits to be published."""
    job = fleet.submit(rows=900, chunk_rows=300, **asked)
    for message in chunk_messages(job, fleet):
        assert carry_out(Assignment(message, receive_count=1), bench).ending is Ending.ACK
    assert fleet.cloud.tracker.job(job).state is JobState.PUBLISHING
    return job


def publication_of(job: str, fleet: Fleet) -> Publication:
    """What a worker would publish for a job of no rows."""
    spec = JobSpec.from_json(fleet.cloud.store.get(fleet.cloud.names.spec(job)))
    return Publication(
        job=job, run=1, table=spec.output_table, columns=spec.output_columns, if_exists=IfExists.FAIL, rows=0
    )


def no_rows(job: str, fleet: Fleet) -> RowsAtHand:
    return RowsAtHand((), fleet.cloud.store, partial(fleet.cloud.names.load, job))


@contextmanager
def output_held(job: str, fleet: Fleet) -> Iterator[None]:
    """Hold the lock under which the job's output table is swapped."""
    with closing(psycopg2.connect(fleet.server.url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtext('skfleet'), hashtext(%s))", (str(fleet.output_table(job)),)
        )
        yield


def test_a_lock_never_fails_a_job_however_long_it_is_held(
    fleet: Fleet, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LOCK_SECONDS", 1)
    monkeypatch.setattr(publisher, "SWAP_TRIES", 1)
    job = fleet.submit(rows=0)
    with output_held(job, fleet):
        late = publish(job, bench, failures=bench.settings.max_attempts + 1)
        assert late.ending is Ending.LATER
    assert fleet.cloud.tracker.job(job).state is JobState.PUBLISHING
    assert publish(job, bench).ending is Ending.ACK
    assert fleet.cloud.tracker.job(job).state is JobState.SUCCEEDED
    fleet.assert_published(job, rows=0)


def test_a_job_that_has_published_succeeds_though_its_worker_gave_up(fleet: Fleet, bench: Workbench) -> None:
    """The reply to COMMIT was lost, and the workers after that died."""
    job = fleet.submit(rows=0)
    assert bench.warehouse.publisher.publish(publication_of(job, fleet), no_rows(job, fleet)).is_new
    assert publish(job, bench, failures=4, give_up="its scoring process was killed").ending is Ending.ACK
    record = fleet.cloud.tracker.job(job)
    assert (record.state, record.rows_scored, record.reason) == (JobState.SUCCEEDED, 0, None)


def test_a_job_that_failed_in_publishing_is_never_published_by_a_late_worker(
    fleet: Fleet, bench: Workbench
) -> None:
    job = fleet.submit(rows=0)
    assert publish(job, bench, failures=4, give_up="its scoring process was killed").ending is Ending.ACK
    record = fleet.cloud.tracker.job(job)
    assert record.state is JobState.FAILED
    assert record.reason == "Publishing failed: its scoring process was killed."
    with pytest.raises(JobFailed, match="was given up before"):
        bench.warehouse.publisher.publish(publication_of(job, fleet), no_rows(job, fleet))
    assert fleet.sql(f"SELECT to_regclass('{fleet.output_table(job)}')") == [(None,)]


def test_a_job_is_not_failed_while_nobody_can_look_into_the_ledger(
    fleet: Fleet, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LOCK_SECONDS", 1)
    job = fleet.submit(rows=0)
    with output_held(job, fleet):
        done = publish(job, bench, failures=4, give_up="its scoring process was killed")
    assert done.ending is Ending.LATER
    assert fleet.cloud.tracker.job(job).state is JobState.PUBLISHING


def test_a_worker_that_published_a_failed_job_says_where_the_job_stands(
    fleet: Fleet, bench: Workbench
) -> None:
    job = fleet.submit(rows=0)
    assert bench.warehouse.publisher.publish(publication_of(job, fleet), no_rows(job, fleet)).is_new
    fleet.cloud.tracker.move(job, JobState.FAILED, run=1, reason="Somebody said so.")
    with capture_logs() as logs:
        give_up_publishing(PublishMessage(job=job, run=1), bench, reason="It broke.")
    (said,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert (said["event"], said["job_state"]) == ("publish.not_recorded", "FAILED")
    assert fleet.cloud.tracker.job(job).reason == "Somebody said so."


SPOILERS = {
    "is not what was committed": lambda store, key: store.put(key, b"x" + store.get(key)),
    "was deleted": lambda store, key: store.delete([key]),
}


@pytest.mark.parametrize("said", SPOILERS)
def test_an_output_that_is_gone_fails_the_job_which_names_it_and_a_retry_heals_it(
    fleet: Fleet, bench: Workbench, said: str
) -> None:
    job = scored(fleet, bench)
    spoilt = fleet.cloud.tracker.commits(job, [1])[0]
    assert spoilt.output_key is not None
    SPOILERS[said](fleet.cloud.store, spoilt.output_key)
    assert publish(job, bench).ending is Ending.ACK
    record = fleet.cloud.tracker.job(job)
    assert record.state is JobState.FAILED
    assert record.reason == (
        f"The stored output of chunk 1 {said}; nothing was published. "
        f"Score it again with: skfleet retry {job}"
    )
    assert retry(fleet.cloud, job, steps=Silent()).sent == 1
    (message,) = chunk_messages(job, fleet, run=2)
    assert message.chunk.number == 1
    assert carry_out(Assignment(message, receive_count=1), bench).ending is Ending.ACK
    carry_out(Assignment(PublishMessage(job=job, run=2), receive_count=1), bench)
    assert fleet.cloud.tracker.job(job).state is JobState.SUCCEEDED
    fleet.assert_published(job, rows=900)


def test_commits_that_have_expired_fail_the_job_and_a_retry_scores_their_chunks(
    fleet: Fleet, bench: Workbench
) -> None:
    job = scored(fleet, bench)
    fleet.cloud.tracker.client.delete_item(
        TableName=fleet.cloud.tracker.name, Key=to_item({"pk": block_pk(job, 0), "sk": commit_sk(1)})
    )
    publish(job, bench)
    record = fleet.cloud.tracker.job(job)
    assert record.state is JobState.FAILED
    assert "1 of 3 chunks have no commit any more" in str(record.reason)
    assert f"skfleet retry {job}" in str(record.reason)
    assert retry(fleet.cloud, job, steps=Silent()).sent == 1
    (message,) = chunk_messages(job, fleet, run=2)
    carry_out(Assignment(message, receive_count=1), bench)
    carry_out(Assignment(PublishMessage(job=job, run=2), receive_count=1), bench)
    fleet.assert_published(job, rows=900)


def test_a_publish_message_that_comes_too_early_fails_nothing(fleet: Fleet, bench: Workbench) -> None:
    job = fleet.submit(rows=900, chunk_rows=300)
    assert publish(job, bench).ending is Ending.ACK
    assert fleet.cloud.tracker.job(job).state is JobState.RUNNING


def test_a_publication_that_has_waited_survives_the_death_of_its_scorer(
    fleet: Fleet, bench: Workbench
) -> None:
    """A wait is no failed attempt: this death is the first one, of the two that would be too many."""
    other = fleet.submit(rows=0)
    assert [decode(it.body).job for it in taken(fleet)] == [other]
    job = fleet.submit(rows=0)
    table, address = fleet.output_table(job), bench.warehouse.address
    assert fleet.cloud.tracker.hold_table(table, address=address, job=other, run=1) == other
    with output_held(job, fleet):
        worker = fleet.start_worker(max_attempts=2)
        worker.wait_for("delivery.released")
        fleet.cloud.tracker.move(other, JobState.FAILED, run=1, reason="It has had its turn.")
        fleet.wait_at_gate()
        for scorer in worker.scorers():
            scorer.kill()
        worker.wait_for("scorer.died")
    record = fleet.wait(job)
    assert record.state is JobState.SUCCEEDED, record.reason
