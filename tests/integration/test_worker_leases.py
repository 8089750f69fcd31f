"""The lease keeper on a real queue, under a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.integration.worker_fleet import Fleet

from skfleet_worker.lease import Lease, LeaseKeeper

LEASE_SECONDS = 120


@dataclass
class Desk:
    """A keeper, the clock it reads and what it said of lost leases."""

    fleet: Fleet
    now: float = 1_000.0
    lost: list[Lease] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keeper = LeaseKeeper(
            self.fleet.cloud.queue,
            lease_seconds=LEASE_SECONDS,
            heartbeat_seconds=LEASE_SECONDS / 3,
            clock=lambda: self.now,
            on_lost=self.lost.append,
        )

    def receive(self) -> Lease:
        self.fleet.cloud.queue.send(["{}"])
        (delivery,) = self.fleet.cloud.queue.receive(limit=1, wait_seconds=5)
        return self.keeper.hold(delivery, received_at=self.now)


def test_a_beat_lengthens_every_lease(fleet: Fleet) -> None:
    desk = Desk(fleet)
    lease = desk.receive()
    desk.now += 40
    desk.keeper.beat()
    assert lease.expires_at == desk.now + LEASE_SECONDS
    assert desk.lost == []


def test_a_clock_that_jumped_past_the_lease_loses_it(fleet: Fleet) -> None:
    desk = Desk(fleet)
    lease = desk.receive()
    desk.now += LEASE_SECONDS
    desk.keeper.beat()
    assert desk.lost == [lease]
    assert not desk.keeper.drop(lease)


def test_a_message_that_is_gone_is_a_lost_lease(fleet: Fleet) -> None:
    desk = Desk(fleet)
    lease = desk.receive()
    fleet.cloud.queue.ack(lease.delivery)
    desk.keeper.beat()
    assert desk.lost == [lease]


def test_a_released_message_is_never_hidden_again_by_a_beat(fleet: Fleet) -> None:
    desk = Desk(fleet)
    lease = desk.receive()
    assert desk.keeper.drop(lease)
    fleet.cloud.queue.release(lease.delivery)
    desk.keeper.beat()
    assert len(fleet.cloud.queue.receive(limit=1, wait_seconds=5)) == 1
    assert desk.lost == []


def test_a_stuck_lease_is_left_to_run_out(fleet: Fleet) -> None:
    desk = Desk(fleet)
    lease = desk.receive()
    lease.allowance_seconds = 10.0
    lease.progress_at = desk.now
    before = lease.expires_at
    desk.now += 20
    desk.keeper.beat()
    assert lease.expires_at == before
    assert desk.lost == []
