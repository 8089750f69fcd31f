"""Redrive: dead letters go back to the queue, none is lost, and it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as changed

import pytest
from tests.conftest import eventually
from tests.contract.stored_jobs import messages_in, store_job

from skfleet.progress import Silent
from skfleet.redrive import redrive
from skfleet.retry import retry
from skfleet_common.aws.queue import Depth
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import Chunk, IdRange
from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, encode
from skfleet_common.contracts.states import JobState

SILENT = Silent()


@pytest.fixture
def cloud(emptied_cloud: Cloud) -> Cloud:
    """The module's fleet; each test has jobs of its own."""
    return emptied_cloud


def chunk_message(job: str, number: int = 0, *, run: int = 1) -> ChunkMessage:
    chunk = Chunk(number=number, range=IdRange(first="0", stop="1"), rows=1)
    return ChunkMessage(job=job, run=run, position=number, run_chunks=30, chunk=chunk)


def bury(cloud: Cloud, *messages: ChunkMessage | PublishMessage) -> None:
    cloud.dead_letters.send([encode(message) for message in messages])


def test_dead_letters_go_back_to_the_queue_and_are_told_by_job(cloud: Cloud) -> None:
    first, second = store_job(cloud).job, store_job(cloud, state=JobState.PUBLISHING).job
    letters = [*(chunk_message(first, n) for n in range(12)), PublishMessage(job=second, run=1)]
    bury(cloud, *letters)
    done = redrive(cloud, steps=SILENT)
    assert (done.sent, done.dropped) == ({first: 12, second: 1}, {})
    assert sorted(map(encode, messages_in(cloud))) == sorted(map(encode, letters))
    assert cloud.dead_letters.approximate_depth().total == 0
    assert redrive(cloud, steps=SILENT).sent == {}


def test_letters_of_jobs_that_ended_or_are_at_another_run_are_dropped(cloud: Cloud) -> None:
    live = store_job(cloud).job
    ended = [
        store_job(cloud, state=state).job
        for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
    ]
    moot = [chunk_message(job) for job in [*ended, "nobody-s"]]
    bury(cloud, chunk_message(live), chunk_message(live, run=2), *moot)
    done = redrive(cloud, steps=SILENT)
    assert done.sent == {live: 1}
    assert done.dropped == {live: 1, "nobody-s": 1} | dict.fromkeys(ended, 1)
    assert messages_in(cloud) == [chunk_message(live)]
    assert cloud.dead_letters.approximate_depth().total == 0


def test_a_dry_run_tells_the_same_and_leaves_every_letter_for_others(cloud: Cloud) -> None:
    live, ended = store_job(cloud).job, store_job(cloud, state=JobState.CANCELLED).job
    bury(cloud, *(chunk_message(live, n) for n in range(11)), chunk_message(ended))
    would = redrive(cloud, dry_run=True, steps=SILENT)
    assert (would.sent, would.dropped) == ({live: 11}, {ended: 1})
    assert messages_in(cloud) == []
    assert cloud.dead_letters.approximate_depth().visible == 12
    did = redrive(cloud, steps=SILENT)
    assert (did.sent, did.dropped) == (would.sent, would.dropped)


def test_a_limit_is_kept(cloud: Cloud) -> None:
    job = store_job(cloud).job
    bury(cloud, *(chunk_message(job, n) for n in range(15)))
    assert redrive(cloud, limit=12, steps=SILENT).sent == {job: 12}
    assert cloud.dead_letters.approximate_depth().visible == 3


def test_what_nobody_can_read_stays_and_what_a_newer_version_wrote_goes_back(cloud: Cloud) -> None:
    newer = '{"schema_version": 99, "kind": "dance"}'
    cloud.dead_letters.send(["no message", newer])
    done = redrive(cloud, steps=SILENT)
    assert (done.unreadable, done.newer, done.sent) == (1, 1, {})
    assert [delivery.body for delivery in cloud.queue.receive(wait_seconds=1)] == [newer]
    assert [delivery.body for delivery in cloud.dead_letters.receive(wait_seconds=1)] == ["no message"]


def test_it_ends_though_its_letters_die_again_at_once(cloud: Cloud) -> None:
    job = store_job(cloud).job
    bury(cloud, *(chunk_message(job, n) for n in range(20)))
    stop = threading.Event()

    def killing() -> None:
        """Bury what was sent back, as fast as it comes."""
        while not stop.is_set():
            for delivery in cloud.queue.receive():
                cloud.dead_letters.send([delivery.body])
                cloud.queue.ack(delivery)

    killer = threading.Thread(target=killing)
    killer.start()
    try:
        # Of those that died in its first second some are sent again.
        assert sum(redrive(cloud, steps=SILENT).sent.values()) >= 20
        # None was lost on the way round.
        eventually(lambda: cloud.dead_letters.approximate_depth().visible == 20)
    finally:
        stop.set()
        killer.join()


def test_what_nobody_can_read_does_not_use_the_limit_up(cloud: Cloud) -> None:
    job = store_job(cloud).job
    cloud.dead_letters.send([f"no message {n}" for n in range(12)])
    bury(cloud, *(chunk_message(job, n) for n in range(3)))
    assert redrive(cloud, limit=2, steps=SILENT).sent == {job: 2}
    assert redrive(cloud, limit=2, steps=SILENT).sent == {job: 1}
    assert cloud.dead_letters.approximate_depth().visible == 12


def test_the_lagging_count_of_messages_has_no_say(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    job = store_job(cloud).job
    bury(cloud, *(chunk_message(job, n) for n in range(12)))
    monkeypatch.setattr(type(cloud.queue), "approximate_depth", lambda _: Depth(0, 0, 0))
    assert redrive(cloud, steps=SILENT).sent == {job: 12}


def test_letters_that_came_after_it_began_stay(cloud: Cloud) -> None:
    job = store_job(cloud).job
    bury(cloud, chunk_message(job))
    times = iter([0.0, 3_600.0])
    # By its clock an hour has passed since it began, by SQS's clock the letter is young.
    assert redrive(cloud, steps=SILENT, clock=lambda: next(times)).sent == {}
    assert cloud.dead_letters.approximate_depth().visible == 1


def test_a_letter_of_a_retry_that_began_meanwhile_is_not_dropped(cloud: Cloud) -> None:
    job = store_job(cloud, chunks=1, state=JobState.FAILED).job
    bury(cloud, chunk_message(job))
    said: list[int] = []

    class Listener(Silent):
        """The job is retried, and its message dies again, right after its old letter was dropped."""

        @contextmanager
        def step(self, *_: object, **__: object) -> Iterator[Listener]:
            yield self

        def reach(self, done: int, _total: int | None = None) -> None:
            if not said:
                retry(cloud, job, steps=SILENT)
                bury(cloud, *messages_in(cloud))
            said.append(done)

    done = redrive(cloud, steps=Listener())
    assert (done.dropped, done.sent) == ({job: 1}, {job: 1})
    assert [(message.job, message.run) for message in messages_in(cloud)] == [(job, 2)]


def test_two_at_once_send_every_letter_once(cloud: Cloud) -> None:
    job = store_job(cloud).job
    bury(cloud, *(chunk_message(job, n) for n in range(30)))
    told: list[int] = []
    terminals = [
        threading.Thread(target=lambda: told.append(sum(redrive(cloud, steps=SILENT).sent.values())))
        for _ in range(2)
    ]
    for terminal in terminals:
        terminal.start()
    for terminal in terminals:
        terminal.join()
    assert sum(told) == 30
    assert len(messages_in(cloud)) == 30


def test_letters_that_could_not_be_sent_are_still_there(cloud: Cloud) -> None:
    job = store_job(cloud).job
    bury(cloud, *(chunk_message(job, n) for n in range(3)))
    no_queue = changed(cloud, queue=changed(cloud.queue, url=cloud.queue.url + "-missing"))
    with pytest.raises(SkfleetError):
        redrive(no_queue, steps=SILENT)
    assert cloud.dead_letters.approximate_depth().total == 3
