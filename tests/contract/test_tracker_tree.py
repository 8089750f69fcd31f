"""The completion tree on a real DynamoDB API: whatever dies, a job is published exactly once, and in time.

Workers are generators that stop after every step with an effect, so that a schedule can interleave them, kill
them between any two steps, and deliver their messages again, even after they were deleted: SQS delivers at
least once. The tracker is real; the queue is the list of all messages ever sent.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from dataclasses import replace as changed

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker import RootState, Tracker
from skfleet_common.contracts.jobs import Commit, CommitOutcome
from skfleet_common.contracts.states import JobState

from tests.contract.samples import new_commit, new_job

MAX_RUNS = 4
DISRUPTION_RATE = 0.4
#: What ``next`` gives for an attempt that has no step left.
ENDED = object()


@pytest.fixture(scope="module")
def tracker(module_cloud: Cloud) -> Tracker:
    return module_cloud.tracker


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
    #: What each chunk's commit was when it was last seen done.
    done: dict[int, Commit] = field(default_factory=dict)
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
                self.check_all_committed(message.run)
            yield
        elif self.tracker.begin_publishing(self.job, run=message.run):
            self.check_all_committed(message.run)
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
        """Let the fleet come to rest, after some more crashes; a job that failed is retried, at last for good.

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
        """A chunk that was done stays as it was done."""
        assert self.done.get(standing.chunk, standing) == standing
        if standing.outcome is CommitOutcome.DONE:
            self.done[standing.chunk] = standing

    def check_all_committed(self, run: int) -> None:
        """A run ends only after each of its chunks was committed in it (or was done)."""
        standing = {commit.chunk: commit for commit in self.tracker.commits(self.job, self.runs[run])}
        assert standing.keys() == set(self.runs[run])
        assert all(commit.outcome is CommitOutcome.DONE or commit.run >= run for commit in standing.values())

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


def run_schedule(
    tracker: Tracker,
    schedule: list[tuple[str, int]],
    *,
    chunks: int,
    fan_in: int,
    failure_rate: float,
    seed: int,
    disruptions: int = 0,
) -> World:
    """Play a schedule on a job of its own, let the fleet come to rest, and check how it ended."""
    world = World(
        tracker=changed(tracker, fan_in=fan_in),
        job=new_job().job,
        chunks=chunks,
        chance=random.Random(seed),
        failure_rate=failure_rate,
    )
    world.submit()
    for action, number in schedule:
        play(world, action, number)
    world.finish(disruptions=disruptions)
    world.check_end()
    return world


LIFE = {
    "schedule": st.one_of(UNCANCELLED, SCHEDULES),
    "chunks": st.integers(1, 12),
    "fan_in": st.sampled_from([2, 3, 5]),
    "failure_rate": st.sampled_from([0.0, 0.0, 0.2, 0.6]),
    "seed": st.integers(0, 2**16),
    "disruptions": st.sampled_from([0, 5, 20]),
}
ANY_LIFE = given(**LIFE)


@ANY_LIFE
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
def test_publishing_has_exactly_one_effect_never_before_the_last_commit_never_none(
    tracker: Tracker,
    schedule: list[tuple[str, int]],
    chunks: int,
    fan_in: int,
    failure_rate: float,
    seed: int,
    disruptions: int,
) -> None:
    run_schedule(
        tracker,
        schedule,
        chunks=chunks,
        fan_in=fan_in,
        failure_rate=failure_rate,
        seed=seed,
        disruptions=disruptions,
    )


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@ANY_LIFE
@settings(max_examples=3_000, derandomize=False, suppress_health_check=list(HealthCheck))
def test_the_same_holds_for_thousands_of_other_schedules(
    tracker: Tracker,
    schedule: list[tuple[str, int]],
    chunks: int,
    fan_in: int,
    failure_rate: float,
    seed: int,
    disruptions: int,
) -> None:
    run_schedule(
        tracker,
        schedule,
        chunks=chunks,
        fan_in=fan_in,
        failure_rate=failure_rate,
        seed=seed,
        disruptions=disruptions,
    )


@pytest.mark.parametrize("steps", range(9))
@pytest.mark.parametrize("last", [0, 4])
def test_a_worker_that_dies_at_any_step_of_the_last_chunk_is_healed_by_the_next_delivery(
    tracker: Tracker, steps: int, last: int
) -> None:
    others = [n for n in range(5) if n != last]
    # Each of the other chunks is delivered and run to its end, then the last one, up to its death.
    schedule = [action for _ in others for action in [("deliver", 1 if last == 0 else 0)] + [("step", 0)] * 9]
    schedule += [("deliver", 0), *[("step", 0)] * steps, ("crash", 0)]
    world = run_schedule(tracker, schedule, chunks=5, fan_in=2, failure_rate=0.0, seed=0)
    assert world.effects == [1]


def test_a_zombie_of_an_earlier_run_ends_no_later_run(tracker: Tracker) -> None:
    world = World(
        tracker=changed(tracker, fan_in=2),
        job=new_job().job,
        chunks=3,
        chance=random.Random(0),
        failure_rate=1.0,
    )
    world.submit()
    zombies = []
    for index in range(3):
        world.deliver(index)
        zombies.append(world.attempts[-1])
    world.attempts.clear()
    for zombie in zombies:
        next(zombie)
    for index in range(3):
        world.deliver(index)
        while world.attempts:
            world.step(0)
    assert tracker.job(world.job).state is JobState.FAILED
    assert world.retry()
    world.failure_rate = 0.0
    for zombie in zombies:
        list(zombie)
    record = tracker.job(world.job)
    assert (record.state, record.run) == (JobState.RUNNING, 2)
    world.finish(disruptions=0)
    world.check_end()
    assert world.effects == [2]


@pytest.mark.parametrize("chunks", [1, 2, 3, 4, 5, 9, 16, 17])
def test_only_the_last_climb_of_all_finds_the_root_full(tracker: Tracker, chunks: int) -> None:
    tree = changed(tracker, fan_in=2)
    job = new_job().job
    order = random.Random(chunks).sample(range(chunks), chunks)
    found = [tree.climb(job, 1, position, chunks, failed=False) for position in order]
    assert [state is not None and state.full for state in found] == [False] * (chunks - 1) + [True]
    assert tree.progress(job, 1, chunks).done == frozenset(range(chunks))


def test_a_failed_chunk_is_known_at_the_root_whoever_comes_last(tracker: Tracker) -> None:
    tree = changed(tracker, fan_in=3)
    for failing in (0, 7, 13):
        job = new_job().job
        states = [tree.climb(job, 1, n, 14, failed=n == failing) for n in range(14)]
        assert states[-1] == RootState(full=True, failed=True)
        assert tree.progress(job, 1, 14).failed == frozenset({failing})


def test_climbing_again_changes_nothing_and_finds_the_root_again(tracker: Tracker) -> None:
    tree = changed(tracker, fan_in=2)
    job = new_job().job
    for position in range(5):
        tree.climb(job, 1, position, 5, failed=False)
    before = tree.progress(job, 1, 5)
    for position in range(5):
        assert tree.climb(job, 1, position, 5, failed=False) == RootState(full=True, failed=False)
    assert tree.progress(job, 1, 5) == before


def test_progress_reads_more_leaves_than_one_request_takes(tracker: Tracker) -> None:
    tree = changed(tracker, fan_in=2)
    job = new_job().job
    for position in (0, 250, 499):
        tree.climb(job, 1, position, 500, failed=position == 250)
    progress = tree.progress(job, 1, 500)
    assert (progress.done, progress.failed) == ({0, 250, 499}, {250})
    assert tree.progress(job, 2, 500).done == frozenset()
    assert tree.progress(job, 1, 0).done == frozenset()
