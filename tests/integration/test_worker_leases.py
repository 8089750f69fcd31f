"""Leases: their keeper on a real queue, under a clock that the test moves, and workers that lose theirs."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field

from tests.conftest import eventually
from tests.integration.counting_proxy import counting_proxy
from tests.integration.worker_fleet import Fleet

from skfleet_common.contracts.messages import decode
from skfleet_common.contracts.states import JobState
from skfleet_worker.lease import Lease, LeaseKeeper

LEASE_SECONDS = 120
#: Of workers that lose theirs.
SHORT = {"lease_seconds": 4, "heartbeat_seconds": 0.5}


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


def wait_until_another_may_have_it(fleet: Fleet) -> None:
    eventually(lambda: fleet.cloud.queue.approximate_depth().visible == 1)


def test_a_scorer_does_not_commit_what_its_stopped_supervisor_has_lost(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    with counting_proxy(str(fleet.settings.aws_endpoint_url)) as proxy:
        zombie = fleet.start_worker(aws_endpoint_url=proxy.url, **SHORT)
        with fleet.gate_shut():
            fleet.wait_at_gate()
            os.kill(zombie.process.pid, signal.SIGSTOP)
            wait_until_another_may_have_it(fleet)
            written = proxy.calls["PutItem"]
        # The scorer was never stopped: it goes on, and finds for itself that the lease is over.
        eventually(lambda: zombie.said("attempt.lease_lost"))
        assert fleet.cloud.tracker.commits(job, [0]) == []
        assert (
            list(fleet.cloud.store.list_keys(fleet.cloud.names.output(job, 0, "").removesuffix(".parquet")))
            == []
        )
        assert proxy.calls["PutItem"] == written
        fleet.start_worker(**SHORT)
        assert fleet.wait(job).state is JobState.SUCCEEDED
        os.kill(zombie.process.pid, signal.SIGCONT)
        zombie.wait_for("lease.lost")
        assert zombie.stop() == 0
        assert proxy.calls["DeleteMessage"] == 0
    fleet.assert_published(job, rows=1_000)


def test_a_supervisor_never_acks_what_it_lost_while_it_was_stopped(fleet: Fleet) -> None:
    job = fleet.submit(rows=1_000, table="gated")
    with counting_proxy(str(fleet.settings.aws_endpoint_url)) as proxy:
        zombie = fleet.start_worker(aws_endpoint_url=proxy.url, **SHORT)
        with fleet.gate_shut():
            fleet.wait_at_gate()
            os.kill(zombie.process.pid, signal.SIGSTOP)
        # In time, so it is committed; that it is finished waits in the pipe of a stopped supervisor.
        eventually(lambda: zombie.said("job.complete"))
        others = receive_both(fleet)
        os.kill(zombie.process.pid, signal.SIGCONT)
        zombie.wait_for("lease.lost")
        assert zombie.stop() == 0
        assert proxy.calls["DeleteMessage"] == 0
    # What others hold by now is still theirs.
    assert fleet.cloud.queue.approximate_depth().in_flight == len(others) == 2
    assert len(fleet.cloud.tracker.commits(job, [0])) == 1


def receive_both(fleet: Fleet) -> set[str]:
    """Receive the chunk's message, once its lease is over, and the publish message."""
    kinds: set[str] = set()

    def look() -> bool:
        kinds.update(decode(d.body).kind for d in fleet.cloud.queue.receive(limit=2, wait_seconds=1))
        return kinds == {"chunk", "publish"}

    eventually(look)
    return kinds
