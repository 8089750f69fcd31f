"""Seats at a warehouse: so many and no more, given back, and taken from the dead by one's own clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import pytest
from tests.conftest import eventually

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import TryAgain
from skfleet_common.contracts.seats import Seat
from skfleet_worker.seating import Seating

ADDRESS = "redshift.example:5439/dev"


@dataclass
class Clock:
    """A waiter's own clock, which its waiting moves on."""

    now: float = 0.0
    waits: int = 0

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.waits += 1

    def __call__(self) -> float:
        return self.now


@dataclass
class Rows:
    """What is read, and whether its cursor is closed."""

    closed: list[bool] = field(default_factory=list)

    def batches(self, count: int = 3) -> Iterator[int]:
        try:
            yield from range(count)
        finally:
            self.closed.append(True)


def seating(cloud: Cloud, *, seats: int, clock: Clock | None = None, still_seconds: float = 60.0) -> Seating:
    clock = clock or Clock()
    return Seating(cloud.tracker, ADDRESS, seats, still_seconds, clock, clock.wait)


def test_a_reader_has_a_seat_while_it_reads_and_not_after(cloud: Cloud) -> None:
    reading = seating(cloud, seats=2).seated(Rows().batches())
    assert next(reading) == 0
    assert len(cloud.tracker.seats(ADDRESS)) == 1
    assert list(reading) == [1, 2]
    assert cloud.tracker.seats(ADDRESS) == []


def test_who_stops_early_closes_its_cursor_and_gives_its_seat_back(cloud: Cloud) -> None:
    rows = Rows()
    reading = seating(cloud, seats=1).seated(rows.batches())
    next(reading)
    reading.close()
    assert rows.closed == [True]
    assert cloud.tracker.seats(ADDRESS) == []


def test_no_more_read_at_once_than_there_are_seats(cloud: Cloud) -> None:
    most, inside, seen = 3, set(), []
    lock = threading.Lock()

    def read(number: int) -> None:
        def batches() -> Iterator[int]:
            with lock:
                inside.add(number)
                seen.append(len(inside))
            yield number
            with lock:
                inside.remove(number)

        one = Seating(cloud.tracker, ADDRESS, most, still_seconds=0.6)
        assert [it for it in one.seated(batches()) if it is not None] == [number]

    threads = [threading.Thread(target=read, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(seen) == len(threads)
    assert max(seen) <= most


def test_a_seat_that_stands_still_is_taken_after_a_while_and_not_before(cloud: Cloud) -> None:
    assert cloud.tracker.take_seat(ADDRESS, Seat(0, "dead"))
    clock = Clock()
    waiting = seating(cloud, seats=1, clock=clock).seated(Rows().batches())
    while (batch := next(waiting)) is None:
        assert cloud.tracker.seats(ADDRESS) == [Seat(0, "dead")]
    assert batch == 0
    assert 60.0 <= clock.now < 65.0
    waiting.close()


def test_a_seat_whose_beat_goes_on_is_never_taken(cloud: Cloud) -> None:
    held = Seat(0, "living")
    assert cloud.tracker.take_seat(ADDRESS, held)
    clock = Clock()
    waiting = seating(cloud, seats=1, clock=clock).seated(Rows().batches())
    for number, batch in enumerate(islice(waiting, 200)):
        assert batch is None
        if number % 20 == 0:
            held = cloud.tracker.beat_seat(ADDRESS, held)
    assert clock.now > 200
    cloud.tracker.release_seat(ADDRESS, held)
    assert next(it for it in waiting if it is not None) == 0
    waiting.close()


def test_of_two_that_take_a_dead_ones_seat_one_has_it(cloud: Cloud) -> None:
    dead = Seat(0, "dead", beat=4)
    assert cloud.tracker.take_seat(ADDRESS, dead)
    assert cloud.tracker.take_seat(ADDRESS, Seat(0, "a"), instead_of=dead)
    assert not cloud.tracker.take_seat(ADDRESS, Seat(0, "b"), instead_of=dead)
    assert cloud.tracker.take_seat(ADDRESS, Seat(0, "a"), instead_of=dead)  # the reply was lost


def test_who_stood_still_and_lost_its_seat_reads_no_further(cloud: Cloud) -> None:
    reading = Seating(cloud.tracker, ADDRESS, 1, still_seconds=0.3).seated(Rows().batches(count=1_000_000))
    next(reading)
    (seat,) = cloud.tracker.seats(ADDRESS)

    def taken() -> bool:
        (standing,) = cloud.tracker.seats(ADDRESS)
        return cloud.tracker.take_seat(ADDRESS, Seat(0, "other"), instead_of=standing)

    eventually(taken)
    with pytest.raises(TryAgain, match="took its seat"):
        for _ in reading:
            pass
    assert [it.holder for it in cloud.tracker.seats(ADDRESS)] == ["other"]
    assert seat.holder != "other"
