"""Leases: what is asked for at a heartbeat, and when one counts as lost or stuck."""

from __future__ import annotations

import threading
from dataclasses import replace as changed

from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.aws.queue import Delivery
from skfleet_worker.lease import CALLS_AT_ONCE, MAX_LEASE_SECONDS, Lease, LeaseKeeper

DELIVERY = Delivery(body="{}", receipt="r", receive_count=1, message_id="m")


def lease(*, received_at: float = 0.0, lease_seconds: int = 120) -> Lease:
    return Lease(delivery=DELIVERY, received_at=received_at, expires_at=received_at + lease_seconds)


@given(age=st.floats(0, 2 * MAX_LEASE_SECONDS), lease_seconds=st.integers(2, 43_200))
def test_no_extension_reaches_beyond_twelve_hours_from_receipt(age: float, lease_seconds: int) -> None:
    seconds = lease().extension(age, lease_seconds)
    assert 0 <= seconds <= lease_seconds
    assert seconds == 0 or age + seconds <= MAX_LEASE_SECONDS


@given(age=st.floats(0, MAX_LEASE_SECONDS / 2), lease_seconds=st.integers(2, 21_600))
def test_a_young_lease_is_extended_by_its_full_length(age: float, lease_seconds: int) -> None:
    assert lease().extension(age, lease_seconds) == lease_seconds


def test_many_leases_are_extended_several_at_a_time() -> None:
    at_once = threading.Barrier(CALLS_AT_ONCE)
    extended: list[str] = []

    class Slow:
        def extend(self, delivery: Delivery, seconds: int) -> bool:
            # No call ends before others have begun.
            at_once.wait(timeout=10)
            extended.append(delivery.receipt)
            return seconds > 0

    keeper = LeaseKeeper(
        Slow(), lease_seconds=120, heartbeat_seconds=40, clock=lambda: 60.0, on_lost=lambda _: None
    )
    many = 4 * CALLS_AT_ONCE
    held = [keeper.hold(changed(DELIVERY, receipt=str(n)), received_at=0.0) for n in range(many)]
    keeper.beat()
    assert sorted(extended, key=int) == [str(n) for n in range(many)]
    assert {lease.expires_at for lease in held} == {180.0}


def test_a_call_that_fails_unexpectedly_costs_no_other_lease() -> None:
    class Broken:
        def extend(self, delivery: Delivery, seconds: int) -> bool:
            if delivery.receipt == "0":
                raise RuntimeError("nobody expects this")
            return seconds > 0

    keeper = LeaseKeeper(
        Broken(), lease_seconds=120, heartbeat_seconds=40, clock=lambda: 60.0, on_lost=lambda _: None
    )
    held = [keeper.hold(changed(DELIVERY, receipt=str(n)), received_at=0.0) for n in range(3)]
    keeper.beat()
    assert [lease.expires_at for lease in held] == [120.0, 180.0, 180.0]


def test_a_lease_is_lost_from_the_moment_it_expires() -> None:
    assert not lease().is_lost(119.9)
    assert lease().is_lost(120.0)


def test_a_lease_that_waits_for_a_scorer_is_never_stuck() -> None:
    held = lease()
    held.allowance_seconds = 1.0
    assert not held.is_stuck(1_000.0)


def test_a_lease_is_stuck_once_its_scorer_was_silent_for_longer_than_its_allowance() -> None:
    held = lease()
    held.allowance_seconds = 5.0
    held.progress_at = 10.0
    assert not held.is_stuck(15.0)
    assert held.is_stuck(15.1)
