"""A fleet of the product's own workers that die wherever a schedule wants, on a real store and tracker.

Attempts are ``skfleet_worker.attempt.carry_out``, and so the worker's own order of things: put → commit →
climb → root → publish → ack. They stand still before every request, so that a schedule can interleave them,
kill them between any two requests, and deliver their messages again, even after they were deleted: SQS
delivers at least once. The queue is scripted for that: all messages ever sent, and which of them are unacked.
Scripted are also the warehouse (a reader of two rows a chunk, the publisher's ledger) and the model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from tests.contract.killable_attempt import (
    CHUNK_ROWS,
    Attempt,
    Crash,
    Gated,
    Ledger,
    LedgerPublisher,
    SmallCatalogue,
    SmallReader,
    TrivialModels,
)
from tests.contract.samples import CREATED, new_job

from skfleet_common.aws.queue import Delivery
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import Tracker
from skfleet_common.contracts.chunks import Chunk, ChunkPlan, IdRange
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobRecord, JobSpec, OutputColumn
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode, encode
from skfleet_common.contracts.states import JobState
from skfleet_common.settings import Settings
from skfleet_common.tables.port import Warehouse
from skfleet_worker.attempt import carry_out
from skfleet_worker.bench import Workbench
from skfleet_worker.protocol import Assignment, Ending
from skfleet_worker.sources import Sources

MAX_RUNS = 4
DISRUPTION_RATE = 0.4
#: No attempt at a chunk of these tests makes more requests.
MOST_STEPS = 14
#: Beyond this many deliveries a fleet never comes to rest.
MOST_DELIVERIES = 300
GIVEN_UP = "It was tried too often."


@dataclass
class World:
    """A job, every message ever sent for it, the attempts in progress, and what was published."""

    cloud: Cloud
    scratch: Path
    job: str
    chunks: int
    #: Decides which attempts fail for good.
    chance: random.Random
    failure_rate: float
    #: Bodies.
    sent: list[str] = field(default_factory=list)
    #: Indexes into ``sent`` of the messages that nobody has acked.
    unacked: set[int] = field(default_factory=set)
    attempts: list[Attempt] = field(default_factory=list)
    deliveries: int = 0
    #: The commit of each chunk as it was last seen.
    seen: dict[int, Commit] = field(default_factory=dict)
    #: Chunks of each run; each must be committed in it, or done, before the run may end.
    runs: dict[int, tuple[int, ...]] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    #: What a worker did wrong; it would take an assertion for one of its own errors.
    wrong: list[AssertionError] = field(default_factory=list)

    @property
    def tracker(self) -> Tracker:
        """The tracker as the test sees it, without standing still."""
        return self.cloud.tracker

    def submit(self) -> None:
        record = new_job(job=self.job, chunks=self.chunks, rows=CHUNK_ROWS * self.chunks)
        plan = ChunkPlan(chunks=tuple(self.planned(chunk) for chunk in range(self.chunks)))
        self.cloud.store.put(self.cloud.names.plan(self.job), plan.to_json())
        self.cloud.store.put(self.cloud.names.spec(self.job), self.spec(record).to_json())
        self.tracker.create_job(record, token=record.token)
        self.send_run(1, tuple(range(self.chunks)))
        self.tracker.move(self.job, JobState.RUNNING, run=1)

    def spec(self, record: JobRecord) -> JobSpec:
        return JobSpec(
            job=self.job,
            fleet=self.cloud.names.fleet,
            model=record.model,
            digest=record.digest,
            table=record.table,
            id_columns=("id",),
            split_column="id",
            split_type="bigint",
            output_table=record.output_table,
            output_columns=(
                OutputColumn(name="id", warehouse_type="bigint", source="id"),
                OutputColumn(name="prediction", warehouse_type="boolean", source="prediction"),
            ),
            created_at=CREATED,
            rows=record.rows,
            chunks=record.chunks,
        )

    def planned(self, chunk: int) -> Chunk:
        first = CHUNK_ROWS * chunk
        keys = IdRange(first=str(first), stop=str(first + CHUNK_ROWS))
        return Chunk(number=chunk, range=keys, rows=CHUNK_ROWS)

    def retry(self) -> bool:
        """Begin a run over the failed chunks; both of two retries at once send their messages."""
        record = self.tracker.job(self.job)
        failed = tuple(
            commit.chunk
            for commit in self.tracker.commits(self.job, range(self.chunks))
            if commit.outcome is CommitOutcome.FAILED
        )
        if record.run >= MAX_RUNS or not self.tracker.start_run(
            self.job, run=record.run + 1, run_chunks=len(failed)
        ):
            return False
        assert not self.tracker.start_run(self.job, run=record.run + 1, run_chunks=len(failed))
        self.send_run(record.run + 1, failed)
        return True

    def send_run(self, run: int, chunks: tuple[int, ...]) -> None:
        self.runs[run] = chunks
        for position, chunk in enumerate(chunks):
            message = ChunkMessage(
                job=self.job, run=run, position=position, run_chunks=len(chunks), chunk=self.planned(chunk)
            )
            self.send(encode(message))

    def send(self, body: str) -> None:
        self.unacked.add(len(self.sent))
        self.sent.append(body)

    def deliver(self, index: int) -> Attempt:
        """Begin an attempt at a message, whoever else holds it or has acked it."""
        self.deliveries += 1
        assert self.deliveries < MOST_DELIVERIES, "the fleet does not come to rest"
        message = decode(self.sent[index])
        fails = isinstance(message, ChunkMessage) and self.chance.random() < self.failure_rate
        attempt = Attempt(lambda stand: self.work(index, message, stand, GIVEN_UP if fails else None))
        self.attempts.append(attempt)
        self.look()
        return attempt

    def work(
        self,
        index: int,
        message: ChunkMessage | PublishMessage,
        stand: Callable[[], None],
        give_up_because: str | None,
    ) -> None:
        """Do what a scorer does with a delivery, and then what its supervisor does."""
        cloud = self.gated_cloud(stand)
        bench = self.bench(cloud, stand)
        finished = carry_out(Assignment(message, 1, give_up_because), bench)
        with self.checking():
            assert finished.ending is Ending.ACK, "no attempt of these meets an error that may pass"
        cloud.queue.ack(Delivery(self.sent[index], receipt=str(index), receive_count=1, message_id="m"))

    def gated_cloud(self, stand: Callable[[], None]) -> Cloud:
        store, queue, tracker = self.cloud.store, self.cloud.queue, self.cloud.tracker
        watched = WatchedTracker(Gated(tracker.client, stand), tracker.name, tracker.where, tracker.fan_in)
        watched.watch(self)
        scripted = Gated(ScriptedQueue(self), stand)
        return changed(
            self.cloud,
            store=changed(store, client=Gated(store.client, stand)),
            queue=changed(queue, client=scripted, control=scripted),
            tracker=watched,
        )

    def bench(self, cloud: Cloud, stand: Callable[[], None]) -> Workbench:
        catalogue = SmallCatalogue()
        publisher = LedgerPublisher(self.ledger, stand, self.check_all_done)
        warehouse = Warehouse("nowhere", catalogue, None, SmallReader(), publisher)
        return Workbench(
            settings=Settings(),
            worker="host-1-4711",
            cloud=cloud,
            warehouse=warehouse,
            models=TrivialModels(),
            sources=Sources(cloud, warehouse),
            scratch=self.scratch,
            report=lambda _: None,
            check_lease=lambda: None,
            batch_rows=10,
        )

    def step(self, index: int, steps: int = 1) -> None:
        """Let an attempt make some requests; it is gone after its last."""
        attempt = self.attempts[index]
        for _ in range(steps):
            attempt.step()
            self.look()
        if attempt.ended:
            del self.attempts[index]

    def crash(self, index: int) -> None:
        """End an attempt where it is: its message stays."""
        self.attempts.pop(index).crash()

    def run_out(self, index: int) -> None:
        self.attempts.pop(index).run_out()
        self.look()

    def finish(self, *, disruptions: int) -> None:
        """Let the fleet come to rest after some more crashes; a job that failed is retried, at last for good.

        Of the disrupted attempts some die, and some go on later, as zombies: also after a retry.
        """
        while True:
            while self.unacked:
                self.deliver(self.chance.choice(sorted(self.unacked)))
                if disruptions > 0 and self.chance.random() < DISRUPTION_RATE:
                    disruptions -= 1
                    self.disrupt(self.attempts[-1])
                else:
                    self.run_out(-1)
            record = self.tracker.job(self.job)
            if record.run == MAX_RUNS - 1:
                self.failure_rate = 0.0
            if record.state is JobState.FAILED and self.retry():
                continue
            if not self.attempts:
                return
            self.run_out(0)

    def disrupt(self, attempt: Attempt) -> None:
        """Let an attempt make some of its requests, then die or stand still; perhaps wake a zombie."""
        for _ in range(self.chance.randrange(MOST_STEPS)):
            attempt.step()
            self.look()
        if self.chance.random() < 0.5:
            self.crash(self.attempts.index(attempt))
        elif self.chance.random() < 0.5:
            self.run_out(0)

    def close(self) -> None:
        """End every attempt that is left."""
        while self.attempts:
            self.crash(-1)

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Keep what is found wrong in an attempt for :meth:`look`, and end the attempt."""
        try:
            yield
        except AssertionError as exc:
            self.wrong.append(exc)
            raise Crash from exc

    def look(self) -> None:
        """Fail if an attempt has done wrong."""
        if self.wrong:
            raise self.wrong[0]

    def check_standing(self, standing: Commit) -> None:
        """What stands stays; only what failed may give way, and only to a later run."""
        before = self.seen.setdefault(standing.chunk, standing)
        assert standing == before or (before.outcome is CommitOutcome.FAILED and standing.run > before.run)
        assert standing.outcome is CommitOutcome.DONE or standing.reason == GIVEN_UP
        self.seen[standing.chunk] = standing

    def check_run_complete(self, *, failed: bool) -> None:
        """The job's run has just ended: each of its chunks was committed in it (or was done before)."""
        run = self.tracker.job(self.job).run
        standing = {commit.chunk: commit for commit in self.tracker.commits(self.job, self.runs[run])}
        assert standing.keys() == set(self.runs[run])
        assert all(commit.outcome is CommitOutcome.DONE or commit.run == run for commit in standing.values())
        assert failed == any(commit.outcome is CommitOutcome.FAILED for commit in standing.values())

    def check_all_done(self) -> None:
        with self.checking():
            standing = self.tracker.commits(self.job, range(self.chunks))
            assert [commit.chunk for commit in standing] == list(range(self.chunks))
            assert all(commit.outcome is CommitOutcome.DONE for commit in standing)
            for commit in standing:
                self.check_standing(commit)

    def check_end(self) -> None:
        record = self.tracker.job(self.job)
        if record.state in {JobState.CANCELLED, JobState.FAILED}:
            assert record.state is JobState.CANCELLED or record.run == MAX_RUNS
            assert self.effects == []
            return
        assert record.state is JobState.SUCCEEDED
        assert self.effects == [record.run]
        assert record.rows_scored == CHUNK_ROWS * self.chunks
        self.check_all_done()

    @property
    def effects(self) -> list[int]:
        """The runs that changed the warehouse, in order."""
        return self.ledger.published


class WatchedTracker(Tracker):
    """An attempt's tracker: what it tells the worker is checked right when it was decided."""

    def watch(self, world: World) -> None:
        object.__setattr__(self, "_world", world)

    def commit(self, commit: Commit) -> Commit:
        standing = super().commit(commit)
        with self._world.checking():
            self._world.check_standing(standing)
        return standing

    def move(self, job_id: str, to: JobState, **given: Any) -> bool:
        moved = super().move(job_id, to, **given)
        if moved and to is JobState.FAILED:
            with self._world.checking():
                self._world.check_run_complete(failed=True)
        return moved

    def begin_publishing(self, job_id: str, *, run: int) -> bool:
        is_due = super().begin_publishing(job_id, run=run)
        if is_due:
            with self._world.checking():
                self._world.check_run_complete(failed=False)
        return is_due


@dataclass(frozen=True)
class ScriptedQueue:
    """The SQS client's two calls that an attempt makes, on the world's list of messages."""

    world: World

    def send_message_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        for entry in Entries:
            self.world.send(entry["MessageBody"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def delete_message(self, *, ReceiptHandle: str, **_: Any) -> None:
        self.world.unacked.discard(int(ReceiptHandle))
