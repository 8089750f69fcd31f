"""The simulated fleet with people in it: operators whose verbs may die half-way, purged queues, fatal errors.

The rules of the state machine are this world's methods; what must hold after each is :meth:`check_always`,
and what must hold once everything has been delivered often enough is :meth:`check_rest`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from dataclasses import replace as changed
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tests.contract.killable_attempt import CHUNK_ROWS, Attempt, Gated, LedgerPublisher
from tests.contract.samples import new_job
from tests.contract.simulated_fleet import ScriptedQueue, World

from skfleet.cancellation import cancel
from skfleet.cleanup import clean_up
from skfleet.effect import Effect
from skfleet.progress import Silent
from skfleet.redrive import redrive
from skfleet.resume import resume
from skfleet.retry import retry
from skfleet.runs import chunk_plan, chunks_of_run
from skfleet.submit import send_messages
from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import Tracker
from skfleet_common.contracts.chunks import ChunkPlan, TableName
from skfleet_common.contracts.errors import Refused, SourceChanged
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobRecord
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode
from skfleet_common.contracts.states import JobState
from skfleet_worker.attempt import carry_out
from skfleet_worker.protocol import Assignment, Ending

GIVEN_UP = "It was tried too often."
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Fate(StrEnum):
    """What an attempt is going to meet."""

    #: Nothing.
    FINE = "fine"
    #: It was tried too often: the chunk, or the publication, has failed for good.
    GIVEN_UP = "given up"
    #: No chunk of the job can succeed.
    FATAL = "fatal"


class Place(StrEnum):
    """Where an attempt may stand still or die: before one of these requests."""

    STORE = "put_object"
    COMMIT = "put_item"
    CLIMB = "update_item"
    MOVE = "move"
    SEND = "send_message_batch"
    PUBLISH = "publish"
    LIST = "get_paginator"
    DELETE = "delete_objects"
    RECEIVE = "receive_message"
    ABANDON = "abandon"
    ACK = "delete_message"
    END = "end"


#: Where a chunk's attempt, a publication's and a verb come by, some of them only if they are the ones that
#: end a run; each as often as it is worth a look.
CHUNK_PLACES = (
    Place.CLIMB, Place.MOVE, Place.COMMIT, Place.SEND, Place.STORE, Place.MOVE, Place.ACK, Place.END,
)  # fmt: skip
PUBLISH_PLACES = (Place.PUBLISH, Place.MOVE, Place.PUBLISH, Place.ABANDON, Place.ACK, Place.END)
REDRIVE_PLACES = (Place.SEND, Place.ACK, Place.RECEIVE, Place.SEND, Place.ACK, Place.END)
CLEAN_UP_PLACES = (Place.MOVE, Place.DELETE, Place.LIST, Place.MOVE, Place.DELETE, Place.END)
VERB_PLACES = (Place.STORE, Place.MOVE, Place.SEND, Place.ABANDON, Place.END, Place.END)


class RefusingModels:
    """A model that cannot be opened, by anybody."""

    def keep(self, _count: int) -> None:
        """Nothing is opened."""

    def open(self, *_: str) -> None:
        raise SourceChanged("The table is gone; submit the job again.")


@dataclass(frozen=True)
class PiecemealQueue(ScriptedQueue):
    """SQS as a producer meets it that dies half-way: each message of a batch is a request of its own."""

    stand: Callable[..., None]

    def send_message_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        for entry in Entries:
            self.stand("send_message_batch")
            self.world.send(entry["MessageBody"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


@dataclass(frozen=True)
class DeadLetters:
    """The dead-letter queue as one reader meets it: each letter once, also if another reader has it."""

    world: ModelWorld
    given: set[int] = field(default_factory=set)

    def receive_message(self, *, MaxNumberOfMessages: int, **_: Any) -> dict[str, Any]:
        letters = sorted(self.world.dead - self.given)[:MaxNumberOfMessages]
        self.given.update(letters)
        return {
            "Messages": [
                {
                    "Body": self.world.sent[index],
                    "ReceiptHandle": str(index),
                    "MessageId": str(index),
                    "Attributes": {"ApproximateReceiveCount": "1"},
                }
                for index in letters
            ],
            "ResponseMetadata": {},
        }

    def delete_message(self, *, ReceiptHandle: str, **_: Any) -> None:
        self.world.dead.discard(int(ReceiptHandle))

    def change_message_visibility(self, **_: Any) -> None:
        """Nobody else waits for it here."""


class AgedTracker(Tracker):
    """The tracker of somebody who comes years later."""

    def job(self, job_id: str) -> JobRecord:
        """Give a job that ended long ago, if it did."""
        record = super().job(job_id)
        return record if record.finished_at is None else record.model_copy(update={"finished_at": LONG_AGO})


@dataclass
class ModelWorld(World):
    """A job, those who work on it, and those who operate it."""

    #: Where workers' attempts may stand; the others are a producer's and operators'.
    places: dict[Attempt, tuple[Place, ...]] = field(default_factory=dict)
    #: Where verbs may stand that lose nothing when they die.
    harmless: dict[Attempt, tuple[Place, ...]] = field(default_factory=dict)
    #: Indexes into ``sent`` of the messages that are dead letters.
    dead: set[int] = field(default_factory=set)
    sweeps: int = 0
    #: How often messages were lost for which nobody but an operator makes up.
    losses: int = 0
    #: Whether that was, since anybody last sent all that was missing.
    is_lossy: bool = False
    #: Runs in which something fatal was met, and runs that an operator wanted to cancel.
    doomed: set[int] = field(default_factory=set)
    cancels: int = 0
    deaths: int = 0

    # What people do.

    def submit(self) -> None:
        """Write a job down; its producer stands before its first message."""
        # A table of its own: no other job's turn to publish is waited for.
        table = TableName(schema_name="public", name=self.job)
        record = new_job(job=self.job, chunks=self.chunks, rows=CHUNK_ROWS * self.chunks, output_table=table)
        plan = ChunkPlan(chunks=tuple(self.planned(chunk) for chunk in range(self.chunks)))
        self.cloud.store.put(self.cloud.names.plan(self.job), plan.to_json())
        self.cloud.store.put(self.cloud.names.spec(self.job), self.spec(record).to_json())
        self.tracker.create_job(record, token=record.token)
        self.begin(lambda cloud, _: send_messages(record, cloud=cloud, steps=Silent()))

    def begin_retry(self) -> None:
        self.begin(lambda cloud, _: retry(cloud, self.job, steps=Silent()))

    def begin_resume(self) -> None:
        self.begin(lambda cloud, _: resume(cloud, self.job, steps=Silent()))

    def begin_cancel(self) -> None:
        self.cancels += 1

        def work(cloud: Cloud, stand: Callable[..., None]) -> Effect:
            publisher = LedgerPublisher(self.ledger, stand, self.check_all_done)
            return cancel(cloud, self.job, open_publisher=lambda: publisher)

        self.begin(work)

    def bury(self, index: int) -> None:
        """Make a message a dead letter; who holds it works on."""
        self.unacked.remove(index)
        self.dead.add(index)

    def begin_redrive(self) -> None:
        def work(stand: Callable[..., None]) -> None:
            letters = Gated(DeadLetters(self), stand)
            cloud = self.operators_cloud(stand)
            redrive(
                changed(cloud, dead_letters=changed(cloud.dead_letters, client=letters, control=letters)),
                steps=Silent(),
            )

        self.begin_harmless(work, REDRIVE_PLACES)

    def begin_clean_up(self) -> None:
        """Begin to remove all that may be removed, however young."""
        self.sweeps += 1

        def work(stand: Callable[..., None]) -> None:
            cloud = self.operators_cloud(stand)
            aged = AgedTracker(
                cloud.tracker.client, cloud.tracker.name, cloud.tracker.where, cloud.tracker.fan_in
            )
            clean_up(changed(cloud, tracker=aged), older_than_days=0, steps=Silent())

        self.begin_harmless(work, CLEAN_UP_PLACES)

    def begin_harmless(self, work: Callable[[Callable[..., None]], None], places: tuple[Place, ...]) -> None:
        attempt = Attempt(work)
        self.attempts.append(attempt)
        self.harmless[attempt] = places
        self.look()

    def operators_cloud(self, stand: Callable[..., None]) -> Cloud:
        cloud = self.gated_cloud(stand)
        return changed(cloud, queue=changed(cloud.queue, client=PiecemealQueue(self, stand)))

    def purge(self) -> None:
        """Lose every message; who holds one works on."""
        self.unacked.clear()
        self.lose()

    def begin(self, verb: Callable[[Cloud, Callable[..., None]], Effect | None]) -> None:
        """Begin a verb, up to its first request."""
        losses = self.losses

        def work(stand: Callable[..., None]) -> None:
            try:
                effect = verb(self.operators_cloud(stand), stand)
            except Refused:
                return
            if (effect is None or effect.sent) and losses == self.losses:
                self.is_lossy = False

        self.attempts.append(Attempt(work))
        self.look()

    def lose(self) -> None:
        self.losses += 1
        self.is_lossy = True

    # What workers do.

    def deliver(self, index: int, fate: Fate = Fate.FINE) -> Attempt:
        """Begin an attempt at a message, whoever else holds it or has acked it."""
        message = decode(self.sent[index])
        if fate is Fate.FATAL:
            self.doomed.add(message.run)
        attempt = Attempt(lambda stand: self.attempt(index, message, stand, fate))
        self.attempts.append(attempt)
        self.places[attempt] = PUBLISH_PLACES if isinstance(message, PublishMessage) else CHUNK_PLACES
        self.look()
        return attempt

    def attempt(
        self, index: int, message: ChunkMessage | PublishMessage, stand: Callable[..., None], fate: Fate
    ) -> None:
        """Do what a scorer does with a delivery, and then what its supervisor does."""
        cloud = self.gated_cloud(stand)
        bench = self.bench(cloud, stand)
        if fate is Fate.FATAL:
            bench = changed(bench, models=RefusingModels())
        finished = carry_out(Assignment(message, 1, GIVEN_UP if fate is Fate.GIVEN_UP else None), bench)
        with self.checking():
            assert finished.ending is Ending.ACK, "no attempt of these meets an error that may pass"
        cloud.queue.ack(Delivery(self.sent[index], receipt=str(index), receive_count=1, message_id="m"))

    @property
    def publishes(self) -> list[int]:
        """The publish messages among those that were sent."""
        return [index for index, body in enumerate(self.sent) if isinstance(decode(body), PublishMessage)]

    def go_on(self, place_number: int, index: int = -1) -> None:
        """Let an attempt go on to one of the places where its kind comes by."""
        places = (self.places | self.harmless).get(self.attempts[index], VERB_PLACES)
        self.go_to(places[place_number % len(places)], index)

    def go_to(self, place: Place, index: int = -1) -> None:
        """Let an attempt go on until it stands before such a request, or to its end if it never does."""
        attempt = self.attempts[index]
        while not attempt.ended:
            attempt.step()
            self.look()
            if attempt.before == place:
                break
        if attempt.ended:
            del self.attempts[index]

    def crash(self, index: int) -> None:
        """End an attempt where it is: a worker's message stays, an operator's work is half done."""
        attempt = self.attempts[index]
        super().crash(index)
        self.deaths += 1
        if attempt not in self.places | self.harmless:
            self.lose()

    # What must hold.

    def check_standing(self, standing: Commit) -> None:
        before = self.seen.setdefault(standing.chunk, standing)
        assert standing == before or (before.outcome is CommitOutcome.FAILED and standing.run > before.run)
        self.seen[standing.chunk] = standing

    def check_run_complete(self, *, failed: bool) -> None:
        """The job's run has just ended: by its last commit, or, FAILED, by what dooms it alone."""
        record = self.tracker.job(self.job)
        run = record.run
        if failed and run in self.doomed:
            return
        chunks = [
            chunk.number for chunk in chunks_of_run(self.cloud, record, chunk_plan(self.cloud, self.job))
        ]
        standing = self.tracker.commits(self.job, chunks)
        assert [commit.chunk for commit in standing] == chunks
        assert all(commit.outcome is CommitOutcome.DONE or commit.run == run for commit in standing)
        any_failed = any(commit.outcome is CommitOutcome.FAILED for commit in standing)
        assert failed == any_failed or (failed and run in self.ledger.abandoned)

    def check_always(self) -> None:
        """What holds at any moment, whoever stands where."""
        self.look()
        for commit in self.tracker.commits(self.job, range(self.chunks)):
            self.check_standing(commit)
        assert len(self.effects) <= 1
        state = self.tracker.job(self.job).state
        assert state not in {JobState.FAILED, JobState.CANCELLED} or self.effects == []
        assert state is not JobState.SUCCEEDED or len(self.effects) == 1
        if self.sweeps and not state.is_terminal:
            self.check_outputs()

    def check_outputs(self) -> None:
        """What is committed is there."""
        there = set(self.cloud.store.list_keys(self.cloud.names.job_prefix(self.job)))
        for commit in self.tracker.commits(self.job, range(self.chunks)):
            assert commit.output_key is None or commit.output_key in there

    def rest(self) -> None:
        """Deliver everything to its end, and let all who stand go on; an operator makes up for losses."""
        while True:
            while self.unacked or self.attempts:
                if self.attempts and (not self.unacked or self.chance.random() < 0.3):
                    self.run_out(self.chance.randrange(len(self.attempts)))
                else:
                    self.deliver(self.chance.choice(sorted(self.unacked))).run_out()
                    self.attempts.pop()
                    self.look()
            if self.tracker.job(self.job).state.is_terminal:
                return
            if self.dead:
                self.begin_redrive()
                self.run_out(-1)
                assert not self.dead
                continue
            assert self.is_lossy, "all was delivered, nothing was lost, and the job does not end"
            self.begin_resume()
            self.run_out(-1)
            assert not self.is_lossy

    def check_rest(self) -> None:
        """What holds once everything has been delivered."""
        self.check_always()
        record = self.tracker.job(self.job)
        standing = self.tracker.commits(self.job, range(self.chunks))
        all_done = [commit.chunk for commit in standing if commit.outcome is CommitOutcome.DONE] == list(
            range(self.chunks)
        )
        if record.state is JobState.SUCCEEDED:
            assert all_done
            assert self.effects == [record.run]
            assert record.rows_scored == CHUNK_ROWS * self.chunks
        elif record.state is JobState.CANCELLED:
            assert self.cancels > 0
        else:
            assert record.state is JobState.FAILED
            excused = record.run in self.doomed or record.run in self.ledger.abandoned
            assert excused or not all_done

    def check_retry(self) -> None:
        """A job that FAILED succeeds once nothing goes wrong any more, published by its last run.

        But not if clean-up has taken its outputs, or may be about to: then nobody retries it.
        """
        record = self.tracker.job(self.job)
        if record.state is not JobState.FAILED:
            return
        self.begin_retry()
        self.rest()
        expected = JobState.SUCCEEDED if record.collected_at is None else JobState.FAILED
        assert self.tracker.job(self.job).state is expected
        self.check_rest()
