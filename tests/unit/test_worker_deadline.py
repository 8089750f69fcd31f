"""A lease's end as the scorer sees it: in memory that two processes share, without a lock."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import pytest

from skfleet_common.aws.queue import Delivery
from skfleet_worker.clock import host_seconds
from skfleet_worker.deadline import OVER, Deadline, LeaseLost
from skfleet_worker.lease import MAX_LEASE_SECONDS, Lease, LeaseKeeper

DELIVERY = Delivery(body="{}", receipt="r", receive_count=1, message_id="m")


def read_when_told(deadline: Deadline, connection: Connection) -> None:
    """In another process: tell the deadline and its clock whenever asked."""
    while connection.recv():
        connection.send((deadline.at, host_seconds()))


@dataclass
class Scripted:
    """A queue that extends, unless told otherwise; each call takes as long as the script says."""

    now: float = 1_000.0
    takes_seconds: float = 0.0
    extends: bool = True
    asked: list[int] = field(default_factory=list)
    lost: list[Lease] = field(default_factory=list)

    def extend(self, delivery: Delivery, seconds: int) -> bool:
        assert delivery is DELIVERY
        self.asked.append(seconds)
        self.now += self.takes_seconds
        return self.extends

    def keeper(self, *, lease_seconds: int = 120) -> LeaseKeeper:
        return LeaseKeeper(
            self,
            lease_seconds=lease_seconds,
            heartbeat_seconds=lease_seconds / 3,
            clock=lambda: self.now,
            on_lost=self.lost.append,
        )


def held(script: Scripted, keeper: LeaseKeeper) -> tuple[Lease, Deadline]:
    lease, deadline = keeper.hold(DELIVERY, received_at=script.now), Deadline()
    lease.show_on(deadline)
    return lease, deadline


def test_another_process_reads_the_same_end_by_the_same_clock() -> None:
    context = multiprocessing.get_context("forkserver")
    deadline, (ours, theirs) = Deadline(), context.Pipe()
    process = context.Process(target=read_when_told, args=(deadline, theirs), daemon=True)
    process.start()
    try:
        for at in (OVER, 12.5, 7.25):
            deadline.at = at
            before = host_seconds()
            ours.send(True)
            seen, clock = ours.recv()
            assert seen == at
            assert before <= clock <= host_seconds()
        ours.send(False)
    finally:
        process.join(20)
    assert process.exitcode == 0
    process.close()


def test_a_scorer_may_commit_until_the_end_and_not_after() -> None:
    deadline = Deadline()
    with pytest.raises(LeaseLost):
        deadline.check()
    deadline.at = host_seconds() + 60
    deadline.check()
    deadline.at = host_seconds()
    with pytest.raises(LeaseLost):
        deadline.check()


def test_every_extension_is_seen_by_the_scorer() -> None:
    script = Scripted()
    keeper = script.keeper()
    lease, deadline = held(script, keeper)
    assert deadline.at == 1_120.0
    script.now += 40
    keeper.beat()
    assert deadline.at == lease.expires_at == 1_160.0


@pytest.mark.parametrize("how", ["the queue says so", "its time is over", "it is given back"])
def test_a_scorer_sees_at_once_that_a_lease_is_no_longer_held(how: str) -> None:
    script = Scripted()
    keeper = script.keeper()
    lease, deadline = held(script, keeper)
    if how == "the queue says so":
        script.extends = False
        keeper.beat()
    elif how == "its time is over":
        script.now += 120
        keeper.look()
    else:
        keeper.drop(lease)
    assert deadline.at == OVER


def test_a_seat_that_has_other_work_hears_nothing_of_the_last() -> None:
    script = Scripted()
    keeper = script.keeper()
    first, deadline = held(script, keeper)
    first.show_on(None)
    second = keeper.hold(DELIVERY, received_at=script.now + 5)
    second.show_on(deadline)
    keeper.drop(first)
    assert deadline.at == second.expires_at == 1_125.0


def test_what_was_lost_is_neither_acked_nor_released_even_before_the_next_beat() -> None:
    script = Scripted()
    keeper = script.keeper()
    lease, _ = held(script, keeper)
    script.now += 120
    assert not keeper.drop(lease)
    assert lease.is_lost(script.now)


def test_a_look_loses_what_ran_out_without_asking_the_queue() -> None:
    script = Scripted()
    keeper = script.keeper()
    old, _ = held(script, keeper)
    script.now += 60
    young, _ = held(script, keeper)
    script.now += 60
    keeper.look()
    assert (script.lost, script.asked) == ([old], [])
    assert keeper.drop(young)


def test_an_extension_that_took_longer_than_the_lease_does_not_bring_it_back() -> None:
    script = Scripted(takes_seconds=500)
    keeper = script.keeper()
    lease, deadline = held(script, keeper)
    keeper.beat()
    assert lease.is_lost(script.now)
    keeper.look()
    assert (script.lost, deadline.at) == ([lease], OVER)


@pytest.mark.parametrize("lease_seconds", [120, 1_000, 7_200, 43_200])
def test_no_scorer_may_commit_after_twelve_hours_however_the_heart_beats(lease_seconds: int) -> None:
    script = Scripted()
    keeper = script.keeper(lease_seconds=lease_seconds)
    lease, deadline = held(script, keeper)
    end = lease.received_at + MAX_LEASE_SECONDS
    while not script.lost:
        assert script.now < end
        assert deadline.at <= end
        script.now += lease_seconds / 3
        keeper.beat()
    assert script.lost == [lease]
    assert script.now - end <= lease_seconds / 3
    assert all(seconds > 0 for seconds in script.asked)
    assert deadline.at == OVER
