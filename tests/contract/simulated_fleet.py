"""A fleet whose workers die wherever a schedule wants, on a real tracker.

Workers are generators that stop after every step with an effect, so that a schedule can interleave them, kill
them between any two steps, and deliver their messages again, even after they were deleted: SQS delivers at
least once. The queue is the list of all messages ever sent.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from dataclasses import replace as changed

from hypothesis import strategies as st
from tests.contract.samples import new_commit, new_job

from skfleet_common.aws.tracker import RootState, Tracker
from skfleet_common.contracts.jobs import Commit, CommitOutcome
from skfleet_common.contracts.states import JobState

MAX_RUNS = 4
DISRUPTION_RATE = 0.4
#: What ``next`` gives for an attempt that has no step left.
ENDED = object()


@dataclass(frozen=True)
class ChunkSent:
    """A message to score the chunk at ``position`` of a run of ``run_chunks``."""

    run: int
    position: int
    run_chunks: int
    chunk: int


@dataclass(frozen=True)
class PublishSent:
    """A message to publish."""

    run: int


Attempt = Generator[None, None, None]


@dataclass
class World:
    """A job, every message ever sent for it, the attempts in progress, and what was published."""

    tracker: Tracker
    job: str
    chunks: int
    #: Decides which attempts fail for good.
    chance: random.Random
    failure_rate: float
    sent: list[ChunkSent | PublishSent] = field(default_factory=list)
    #: Indexes into ``sent`` of the messages that nobody has acked.
    unacked: set[int] = field(default_factory=set)
    attempts: list[Attempt] = field(default_factory=list)
    #: The commit of each chunk as it was last seen.
    seen: dict[int, Commit] = field(default_factory=dict)
    #: Chunks of each run; each must be committed in it, or done, before the run may end.
    runs: dict[int, tuple[int, ...]] = field(default_factory=dict)
    #: The warehouse's ledger, whose row is in the swap's transaction.
    ledger: set[int] = field(default_factory=set)
    effects: list[int] = field(default_factory=list)

    def submit(self) -> None:
        record = new_job(job=self.job, chunks=self.chunks)
        self.tracker.create_job(record, token=record.token)
        self.send_run(1, tuple(range(self.chunks)))
        self.tracker.move(self.job, JobState.RUNNING, run=1)

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
            self.send(ChunkSent(run, position, len(chunks), chunk))

    def send(self, message: ChunkSent | PublishSent) -> None:
        self.unacked.add(len(self.sent))
        self.sent.append(message)

    def deliver(self, index: int) -> None:
        """Begin an attempt at a message, whoever else holds it or has acked it."""
        message = self.sent[index]
        attempt = self.score(message) if isinstance(message, ChunkSent) else self.publish(message)
        self.attempts.append(self.until_acked(attempt, index))

    def until_acked(self, attempt: Attempt, index: int) -> Attempt:
        yield from attempt
        self.unacked.discard(index)

    def step(self, index: int) -> None:
        """Let an attempt do its next step; it is gone after its last."""
        try:
            next(self.attempts[index])
        except StopIteration:
            del self.attempts[index]

    def crash(self, index: int) -> None:
        """End an attempt where it is: its message stays."""
        self.attempts.pop(index).close()

    def score(self, message: ChunkSent) -> Attempt:
        """Do what a worker does with a chunk: commit → climb → move on and send → ack."""
        failed = self.chance.random() < self.failure_rate
        standing = self.tracker.commit(new_commit(self.job, message.chunk, run=message.run, failed=failed))
        self.check_standing(standing)
        yield
        root = None
        for node in self.tracker.climb_steps(
            self.job,
            message.run,
            message.position,
            message.run_chunks,
            failed=standing.outcome is CommitOutcome.FAILED,
        ):
            root = RootState(node.full, node.failed) if node.is_root else None
            yield
        if root is None or not root.full:
            return
        if root.failed:
            if self.tracker.move(self.job, JobState.FAILED, run=message.run):
                self.check_run_complete()
            yield
        elif self.tracker.begin_publishing(self.job, run=message.run):
            self.check_run_complete()
            yield
            self.send(PublishSent(message.run))
            yield

    def publish(self, message: PublishSent) -> Attempt:
        """Do what a worker does to publish: one transaction with its ledger row → move on → ack."""
        if len(self.tracker.commits(self.job, range(self.chunks))) < self.chunks:
            return
        yield
        if not self.tracker.begin_publishing(self.job, run=message.run):
            return
        yield
        if message.run not in self.ledger:
            self.check_all_done()
            self.ledger.add(message.run)
            self.effects.append(message.run)
        yield
        self.tracker.move(self.job, JobState.SUCCEEDED, run=message.run)
        yield

    def finish(self, *, disruptions: int) -> None:
        """Let the fleet come to rest after some more crashes; a job that failed is retried, at last for good.

        Of the disrupted attempts some die, and some go on later, as zombies: also after a retry.
        """
        while True:
            while self.unacked:
                self.deliver(self.chance.choice(sorted(self.unacked)))
                if disruptions > 0 and self.chance.random() < DISRUPTION_RATE:
                    disruptions -= 1
                    self.disrupt(len(self.attempts) - 1)
                else:
                    self.run_out(self.attempts.pop())
            record = self.tracker.job(self.job)
            if record.run == MAX_RUNS - 1:
                self.failure_rate = 0.0
            if record.state is JobState.FAILED and self.retry():
                continue
            if not self.attempts:
                return
            self.run_out(self.attempts.pop(0))

    def disrupt(self, index: int) -> None:
        """Let an attempt do some of its steps, then die or stand still; perhaps wake a zombie."""
        for _ in range(self.chance.randrange(7)):
            if next(self.attempts[index], ENDED) is ENDED:
                break
        if self.chance.random() < 0.5:
            self.crash(index)
        elif self.chance.random() < 0.5:
            self.run_out(self.attempts.pop(0))

    def run_out(self, attempt: Attempt) -> None:
        for _ in attempt:
            pass

    def check_standing(self, standing: Commit) -> None:
        """What stands stays; only what failed may give way, and only to a later run."""
        before = self.seen.setdefault(standing.chunk, standing)
        assert standing == before or (before.outcome is CommitOutcome.FAILED and standing.run > before.run)
        self.seen[standing.chunk] = standing

    def check_run_complete(self) -> None:
        """The job's run has just ended: each of its chunks was committed in it (or was done before)."""
        run = self.tracker.job(self.job).run
        standing = {commit.chunk: commit for commit in self.tracker.commits(self.job, self.runs[run])}
        assert standing.keys() == set(self.runs[run])
        assert all(commit.outcome is CommitOutcome.DONE or commit.run == run for commit in standing.values())

    def check_all_done(self) -> None:
        standing = self.tracker.commits(self.job, range(self.chunks))
        assert [commit.chunk for commit in standing] == list(range(self.chunks))
        assert all(commit.outcome is CommitOutcome.DONE for commit in standing)
        for commit in standing:
            self.check_standing(commit)

    def check_end(self) -> None:
        record = self.tracker.job(self.job)
        if record.state is JobState.CANCELLED:
            assert self.effects == []
            return
        if record.state is JobState.FAILED:
            assert record.run == MAX_RUNS
            assert self.effects == []
            return
        assert record.state is JobState.SUCCEEDED
        assert self.effects == [record.run]
        self.check_all_done()


#: What happens next, and to which message or attempt (modulo how many there are).
ACTIONS = st.tuples(
    st.sampled_from(["deliver", "deliver", "redeliver", "step", "step", "step", "step", "crash", "retry"]),
    st.integers(0, 1_000),
)
CANCELS = st.tuples(st.just("cancel"), st.integers(0, 1_000))
SCHEDULES = st.tuples(
    st.lists(ACTIONS, max_size=40), st.lists(CANCELS, max_size=1), st.lists(ACTIONS, max_size=10)
).map(lambda parts: [*parts[0], *parts[1], *parts[2]])
UNCANCELLED = st.lists(ACTIONS, max_size=40)


@dataclass(frozen=True)
class Life:
    """What happens to a job: a schedule, then as many more disruptions until the fleet comes to rest."""

    schedule: list[tuple[str, int]]
    chunks: int
    fan_in: int = 2
    failure_rate: float = 0.0
    seed: int = 0
    disruptions: int = 0


LIVES = st.builds(
    Life,
    schedule=st.one_of(UNCANCELLED, SCHEDULES),
    chunks=st.integers(1, 12),
    fan_in=st.sampled_from([2, 3, 5]),
    failure_rate=st.sampled_from([0.0, 0.2, 0.6]),
    seed=st.integers(0, 2**16),
    disruptions=st.sampled_from([0, 5, 20]),
)


def begin(tracker: Tracker, life: Life) -> World:
    """Submit a job of its own, with a tree of the life's fan-in."""
    world = World(
        tracker=changed(tracker, fan_in=life.fan_in),
        job=new_job().job,
        chunks=life.chunks,
        chance=random.Random(life.seed),  # noqa: S311  (a schedule, not a secret)
        failure_rate=life.failure_rate,
    )
    world.submit()
    return world


def live(tracker: Tracker, life: Life) -> World:
    """Play a life through, let the fleet come to rest, and check how the job ended."""
    world = begin(tracker, life)
    for action, number in life.schedule:
        play(world, action, number)
    world.finish(disruptions=life.disruptions)
    world.check_end()
    return world


def play(world: World, action: str, number: int) -> None:
    """Do one action of a schedule, if there is anything to do it to."""
    if action == "deliver" and world.unacked:
        world.deliver(sorted(world.unacked)[number % len(world.unacked)])
    elif action == "redeliver":
        world.deliver(number % len(world.sent))
    elif action == "step" and world.attempts:
        world.step(number % len(world.attempts))
    elif action == "crash" and world.attempts:
        world.crash(number % len(world.attempts))
    elif action == "retry":
        world.retry()
    elif action == "cancel":
        world.tracker.move(world.job, JobState.CANCELLED, run=world.tracker.job(world.job).run)
