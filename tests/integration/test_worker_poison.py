"""Poison on the queue: a worker lives on, buries what nobody can read, and harms no other job."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

from tests.conftest import eventually
from tests.integration.worker_fleet import Fleet
from tests.mutations import CANARY, damaged

from skfleet_common.aws.queue import Queue
from skfleet_common.contracts.chunks import MAX_CHUNKS, MAX_ROWS, Chunk, IdRange
from skfleet_common.contracts.errors import NewerMessage, UnreadableMessage
from skfleet_common.contracts.jobs import CommitOutcome
from skfleet_common.contracts.messages import MAX_RUN, ChunkMessage, PublishMessage, decode, encode
from skfleet_common.contracts.states import JobState

POISONS = 240
#: A body of a few kilobytes is as poisonous as one of a megabyte.
MOST_BYTES = 8_000
#: What SQS lets through (SendMessage, API reference).
SENDABLE = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")

HOSTILE_RANGES = [
    IdRange(first="1'); DROP TABLE flights; --", stop="2"),
    IdRange(first="1", stop="(SELECT pg_sleep(60))"),
    IdRange(first="\0", stop="2"),
    IdRange(first="%s", stop="{}"),
    IdRange(first="9" * 400, stop=None),
    IdRange(first="", stop=""),
    IdRange(first="9", stop="1"),
    IdRange(),
    IdRange(nulls=True, first="1"),
]


def poisons(count: int) -> list[str]:
    """Give damaged messages that SQS carries and nobody can read."""
    found: list[str] = []
    chance = random.Random(7)  # noqa: S311  (damage, not a secret)
    chunk = Chunk(number=0, range=IdRange(first="1", stop="2"), rows=1)
    whole = encode(ChunkMessage(job="a-job", run=1, position=0, run_chunks=1, chunk=chunk)).encode()
    while len(found) < count:
        body = damaged(whole, chance).decode(errors="replace")
        if len(body.encode(errors="replace")) > MOST_BYTES or not SENDABLE.fullmatch(body):
            continue
        try:
            decode(body)
        except UnreadableMessage:
            found.append(body)
        except NewerMessage:
            continue
    return found


def emptied(queue: Queue) -> Counter[str]:
    """Take everything out of a queue."""
    bodies: Counter[str] = Counter()
    while deliveries := queue.receive():
        for delivery in deliveries:
            bodies[delivery.body] += 1
            queue.ack(delivery)
    return bodies


def assert_unharmed(fleet: Fleet) -> None:
    """The worker lives, has lost no scorer, and scores a healthy job at once."""
    assert fleet.sql("SELECT count(*) FROM flights") == [(4_000,)]
    job = fleet.submit()
    assert fleet.wait(job, within_seconds=30).state is JobState.SUCCEEDED
    fleet.assert_published(job)
    (worker,) = fleet.workers
    assert worker.process.poll() is None
    assert worker.said("scorer.died") == []


def test_every_poison_becomes_a_dead_letter_once_and_the_worker_lives(fleet: Fleet) -> None:
    bodies = poisons(POISONS)
    fleet.cloud.queue.send(bodies)
    # An idle worker looks at dead letters too, which would hide them for minutes.
    worker = fleet.start_worker(care_seconds=600)
    fleet.assert_queue_empty()
    assert_unharmed(fleet)
    assert worker.stop() == 0
    eventually(lambda: fleet.cloud.dead_letters.approximate_depth().visible == POISONS)
    assert emptied(fleet.cloud.dead_letters) == Counter(bodies)
    assert CANARY not in worker.log.read_text()


def test_hostile_chunks_end_as_failures_of_the_jobs_that_they_name(fleet: Fleet) -> None:
    jobs = [fleet.submit(rows=10) for _ in HOSTILE_RANGES]
    emptied(fleet.cloud.queue)
    chunks = [
        Chunk(number=0, range=keys, rows=MAX_ROWS if number % 2 else 10)
        for number, keys in enumerate(HOSTILE_RANGES)
    ]
    fleet.cloud.queue.send(
        [
            encode(ChunkMessage(job=job, run=1, position=0, run_chunks=1, chunk=chunk))
            for job, chunk in zip(jobs, chunks, strict=True)
        ]
    )
    worker = fleet.start_worker(max_attempts=1)
    for job in jobs:
        record = fleet.wait(job)
        # The job fails first, so that its other messages are moot; then the chunk.
        (commit,) = eventually(lambda job=job: fleet.cloud.tracker.commits(job, [0]))
        assert (record.state, commit.outcome) == (JobState.FAILED, CommitOutcome.FAILED)
        for words in (record.reason, commit.reason):
            assert words is not None
            assert words.isprintable()
            assert "DROP TABLE" not in words
    fleet.assert_queue_empty()
    assert "DROP TABLE" not in worker.log.read_text()
    assert_unharmed(fleet)
    assert emptied(fleet.cloud.dead_letters) == Counter()


def test_messages_that_no_plan_has_harm_no_job(fleet: Fleet) -> None:
    job = fleet.submit()
    emptied(fleet.cloud.queue)
    planned = fleet.plan(job).chunks
    changes: list[dict[str, Any]] = [
        {"run": 2},
        {"run": MAX_RUN},
        {"run_chunks": 1},
        {"run_chunks": MAX_CHUNKS},
        {"run_chunks": 5, "position": 4},
        {"position": 1},
        {"chunk": planned[0].model_copy(update={"number": 999_999})},
        {"job": "no-such-job"},
        {"job": "no-such-job", "run_chunks": MAX_CHUNKS, "position": MAX_CHUNKS - 1},
    ]
    usual = {"job": job, "run": 1, "position": 0, "run_chunks": 4, "chunk": planned[0]}
    strange = [encode(ChunkMessage(**usual | change)) for change in changes]
    strange += [encode(PublishMessage(job=job, run=run)) for run in (1, 2, MAX_RUN)]
    fleet.cloud.queue.send(strange)
    fleet.send(job, planned)
    worker = fleet.start_worker()
    assert fleet.wait(job).state is JobState.SUCCEEDED
    fleet.cloud.queue.send(strange)
    fleet.assert_queue_empty()
    fleet.assert_published(job)
    assert [commit.chunk for commit in fleet.cloud.tracker.commits(job, range(1_000_000))] == [0, 1, 2, 3]
    assert fleet.cloud.tracker.progress(job, 1, 4).done == {0, 1, 2, 3}
    # A publish message of the run itself comes too early the first time.
    eventually(lambda: len(worker.said("message.moot")) == 2 * len(strange) - 1)
    assert_unharmed(fleet)
