"""The receiver: leases are as old as the call that brought them, and foreign words stay out of the log."""

from __future__ import annotations

import queue
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from skfleet_common.aws.queue import Delivery
from skfleet_common.contracts.errors import TryAgain
from skfleet_worker.receiver import Receiver

DELIVERY = Delivery(body="{}", receipt="r", receive_count=1, message_id="m")


@dataclass
class Scripted:
    """A queue whose polls take ten seconds of the test's own clock, after it has failed as told."""

    failures: list[Exception] = field(default_factory=list)
    now: float = 100.0
    waited: list[int] = field(default_factory=list)

    def receive(self, *, limit: int, wait_seconds: int) -> list[Delivery]:
        self.waited.append(wait_seconds)
        if self.failures:
            raise self.failures.pop()
        self.now += 10
        return [DELIVERY] * limit


def received(source: Scripted, *, lease_seconds: int = 120) -> tuple[list[Delivery], float]:
    brought: queue.Queue[tuple[list[Delivery], float]] = queue.Queue()
    receiver = Receiver(
        source,
        poll_seconds=20,
        lease_seconds=lease_seconds,
        clock=lambda: source.now,
        deliver=lambda deliveries, since: brought.put((deliveries, since)),
    )
    receiver.start()
    receiver.ask(1)
    first = brought.get(timeout=20)
    receiver.stop()
    assert brought.get(timeout=20)[0] == []
    return first


def test_a_delivery_is_as_old_as_the_call_that_brought_it() -> None:
    assert received(Scripted()) == ([DELIVERY], 100.0)


@pytest.mark.parametrize(("lease_seconds", "poll_seconds"), [(120, 20), (30, 10), (2, 1)])
def test_a_poll_takes_only_a_part_of_the_lease(lease_seconds: int, poll_seconds: int) -> None:
    source = Scripted()
    received(source, lease_seconds=lease_seconds)
    assert source.waited == [poll_seconds]


def test_the_log_has_our_own_sentences_and_only_the_type_of_foreign_errors() -> None:
    with capture_logs() as logs:
        received(Scripted(failures=[TryAgain("SQS is slow; try again."), ValueError("a payload")]))
    assert [entry["error"] for entry in logs] == ["ValueError", "SQS is slow; try again."]
