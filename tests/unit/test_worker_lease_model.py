"""Leases as a state machine: whatever clocks and calls do, nobody works on what is another's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.simulated_sqs import MAX_HIDDEN_SECONDS, Letter, SimulatedSqs

from skfleet_common.aws.queue import Delivery, Queue
from skfleet_common.settings import Settings
from skfleet_worker.lease import Lease, LeaseKeeper
from skfleet_worker.mail import Mail

PICKS = st.integers(0, 5)
SECONDS = st.floats(0.0, 100.0)
TROUBLES = st.lists(st.sampled_from(["throttled", "cut", ""]), max_size=4)


class Desk:
    """A worker's keeper and mail over a simulated SQS, and a clock that may differ from SQS's."""

    def __init__(self, *, lease_seconds: int = 120) -> None:
        self.sqs = SimulatedSqs(on_passing=self.pass_time)
        self.clock = 1_000.0
        self.lost: list[Lease] = []
        self.lease_seconds = lease_seconds
        client: Any = self.sqs
        queue = Queue(client, client, "url", "queue", "here", lease_seconds)
        self.keeper = LeaseKeeper(
            queue,
            lease_seconds=lease_seconds,
            heartbeat_seconds=lease_seconds / 3,
            clock=lambda: self.clock,
            on_lost=self.lost.append,
        )
        cloud: Any = SimpleNamespace(queue=queue, dead_letters=None)
        self.mail = Mail(
            cloud, self.keeper, Settings(), on_unreadable=lambda _: None, on_newer=lambda *_: None
        )

    def pass_time(self, seconds: float) -> None:
        self.sqs.now += seconds
        self.clock += seconds

    def receive(self, *, travel_seconds: float = 0.0) -> tuple[Lease, Letter]:
        """Hold a message that SQS hid half-way through the call that brought it."""
        began = self.clock
        self.pass_time(travel_seconds / 2)
        letter = self.sqs.deliver(self.lease_seconds)
        self.pass_time(travel_seconds / 2)
        delivery = Delivery(body="{}", receipt=letter.receipt, receive_count=1, message_id=letter.name)
        return self.keeper.hold(delivery, received_at=began), letter


class LeaseLife(RuleBasedStateMachine):
    """Leases of one worker."""

    @initialize(lease_seconds=st.sampled_from([2, 30, 120, 43_200]), stale_works=st.booleans())
    def begin(self, lease_seconds: int, *, stale_works: bool) -> None:
        self.desk = Desk(lease_seconds=lease_seconds)
        self.desk.sqs.stale_works = stale_works
        #: What the worker has neither acked nor released nor been told that it lost.
        self.held: list[tuple[Lease, Letter]] = []
        #: Receipts whose leases are over.
        self.over: set[str] = set()
        #: While the worker's clock is never behind, nothing may be late.
        self.is_behind = False

    @rule(travel_seconds=st.floats(0.0, 20.0))
    def receive(self, travel_seconds: float) -> None:
        if len(self.held) < 4:
            self.held.append(self.desk.receive(travel_seconds=travel_seconds))

    @rule(share=st.floats(0.0, 1.5))
    def time_passes(self, share: float) -> None:
        self.desk.pass_time(share * self.desk.lease_seconds)

    @rule(hours=st.floats(0.1, 13.0))
    def hours_pass_with_heartbeats(self, hours: float) -> None:
        """As many beats as it takes, but not more than a test has time for."""
        if self.desk.lease_seconds >= 120:
            for _ in range(max(1, int(hours * 3600 / (self.desk.lease_seconds / 3)))):
                self.desk.pass_time(self.desk.lease_seconds / 3)
                self.desk.keeper.beat()
            self.settle()

    @rule(seconds=st.floats(-500.0, 500.0))
    def the_workers_clock_jumps(self, seconds: float) -> None:
        self.desk.clock += seconds
        self.is_behind = self.is_behind or seconds < 0

    @rule(troubles=TROUBLES, reply_seconds=st.floats(0.0, 15.0))
    def calls_meet_troubles(self, troubles: list[str], reply_seconds: float) -> None:
        self.desk.sqs.troubles = troubles
        self.desk.sqs.reply_seconds = reply_seconds

    @rule(pick=PICKS)
    def another_worker_receives(self, pick: int) -> None:
        letters = list(self.desk.sqs.letters.values())
        if letters:
            self.desk.sqs.deliver_to_another(letters[pick % len(letters)])

    @rule()
    def beat(self) -> None:
        self.desk.keeper.beat()
        self.settle()

    @rule()
    def look(self) -> None:
        self.desk.keeper.look()
        assert all(
            not lease.is_lost(self.desk.clock) for lease, _ in self.held if lease not in self.desk.lost
        )
        self.settle()

    @precondition(lambda self: self.held)
    @rule(pick=PICKS)
    def ack(self, pick: int) -> None:
        lease, _ = self.held.pop(pick % len(self.held))
        self.desk.mail.ack(lease)
        self.over.add(lease.delivery.receipt)
        assert not self.desk.keeper.drop(lease)

    @precondition(lambda self: self.held)
    @rule(pick=PICKS)
    def release(self, pick: int) -> None:
        lease, _ = self.held.pop(pick % len(self.held))
        self.desk.mail.release(lease)
        self.over.add(lease.delivery.receipt)

    def settle(self) -> None:
        """A supervisor acts on what it is told: the attempt under a lost lease is stopped."""
        self.held = [(lease, letter) for lease, letter in self.held if lease not in self.desk.lost]
        self.over |= {lease.delivery.receipt for lease in self.desk.lost}

    @invariant()
    def nobody_works_on_what_is_anothers(self) -> None:
        if self.is_behind:
            return
        for lease, letter in self.held:
            if not lease.is_lost(self.desk.clock) and not letter.is_deleted:
                assert letter.is_held_with(lease.delivery.receipt, self.desk.sqs.now)
                left = letter.hidden_until - self.desk.sqs.now
                assert lease.expires_at - self.desk.clock <= left + 1e-6
        assert self.desk.sqs.late == []

    @invariant()
    def each_lease_is_lost_at_most_once(self) -> None:
        assert len({id(lease) for lease in self.desk.lost}) == len(self.desk.lost)

    @invariant()
    def what_is_over_is_left_alone(self) -> None:
        """Acks and releases are the last word; what was lost is not even spoken of."""
        calls = self.desk.sqs.calls
        for receipt in self.over:
            last_words = [name for name, of in calls if of == receipt and name != "change"]
            assert len(last_words) <= 1
        lost = {lease.delivery.receipt for lease in self.desk.lost}
        assert not [name for name, of in calls if of in lost and name != "change"]
        spoken = [receipt for _, receipt in calls]
        for receipt in self.over & {of for name, of in calls if name != "change"}:
            assert calls[len(spoken) - 1 - spoken[::-1].index(receipt)][0] != "change"


TestLeases = LeaseLife.TestCase
TestLeases.settings = settings(max_examples=150, stateful_step_count=30)


@given(lease_seconds=st.integers(60, 43_200), part=st.floats(2.0, 5.0))
@settings(max_examples=40)
def test_a_healthy_lease_lasts_for_twelve_hours_and_no_longer(lease_seconds: int, part: float) -> None:
    desk = Desk(lease_seconds=lease_seconds)
    lease, letter = desk.receive(travel_seconds=5.0)
    began = desk.sqs.now
    while not desk.lost:
        assert letter.is_held_with(letter.receipt, desk.sqs.now)
        desk.pass_time(min(lease_seconds / part, 1_000.0))
        desk.keeper.beat()
    assert desk.lost == [lease]
    held_seconds = desk.sqs.now - began
    # By the receipt's own reading it began when the call did; the last extension is in whole seconds.
    assert held_seconds >= MAX_HIDDEN_SECONDS - 5.0 - 1.0
    assert held_seconds <= MAX_HIDDEN_SECONDS + 1_000.0
    assert desk.sqs.late == []


@given(travel=st.floats(0.0, 30.0), kind=st.sampled_from(["fine", "cut"]))
def test_a_lease_of_twelve_hours_is_never_shortened_by_its_extension(travel: float, kind: str) -> None:
    desk = Desk(lease_seconds=MAX_HIDDEN_SECONDS)
    lease, letter = desk.receive(travel_seconds=travel)
    desk.sqs.troubles = [kind] if kind == "cut" else []
    desk.keeper.beat()
    assert lease.expires_at - desk.clock <= letter.hidden_until - desk.sqs.now + 1e-6


@given(failing=st.integers(1, 60), seconds=st.floats(1.0, 40.0), kind=st.sampled_from(["throttled", "cut"]))
def test_a_lease_outlives_extensions_that_fail_for_less_than_its_length(
    failing: int, seconds: float, kind: str
) -> None:
    desk = Desk(lease_seconds=120)
    lease, letter = desk.receive()
    desk.keeper.beat()
    desk.sqs.troubles = [kind] * failing
    for _ in range(failing + 1):
        desk.pass_time(seconds)
        desk.keeper.beat()
    if (failing + 1) * seconds < 120:
        assert desk.lost == []
        assert lease.expires_at == desk.clock + 120
        desk.mail.ack(lease)
        assert letter.is_deleted
    else:
        assert desk.lost == [lease]
        desk.mail.ack(lease)
        assert not letter.is_deleted
    assert desk.sqs.late == []


@given(ahead=st.floats(120.0, 10**9))
def test_a_clock_that_leaps_ahead_costs_leases_and_never_keeps_them(ahead: float) -> None:
    desk = Desk(lease_seconds=120)
    lease, letter = desk.receive()
    desk.clock += ahead
    desk.mail.ack(lease)
    desk.mail.release(lease)
    desk.keeper.beat()
    assert desk.sqs.calls == []
    assert not letter.is_deleted


@given(back=st.floats(0.0, 10**9))
def test_a_clock_that_falls_back_asks_for_no_more_than_a_lease(back: float) -> None:
    desk = Desk(lease_seconds=120)
    lease, letter = desk.receive()
    desk.clock -= back
    desk.keeper.beat()
    assert desk.lost == []
    assert letter.hidden_until == 120.0
    # And SQS is believed when it says that the message is another's.
    desk.sqs.now = 121.0
    assert desk.sqs.deliver_to_another(letter)
    desk.keeper.beat()
    assert desk.lost == [lease]
