"""Seating: a scorer waits for a seat at the warehouse, and keeps it while it reads."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import structlog

from skfleet_common.aws.tracker_seats import Seats
from skfleet_common.contracts.errors import SkfleetError, TryAgain
from skfleet_common.contracts.seats import Seat

log = structlog.get_logger()

T = TypeVar("T")

#: Beats in the time after which a seat that stands still may be taken.
_BEATS = 6
#: The longest that a waiting scorer does not look: a thousand of them cost the tracker 500 reads a second.
_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Seating:
    """The seats at one warehouse."""

    tracker: Seats
    address: str
    #: How many there are.
    seats: int
    #: How long a holder's beat must stand still, by the clock of whoever waits, before the seat is taken.
    still_seconds: float
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def seated(self, batches: Iterator[T]) -> Iterator[T | None]:
        """Give ``batches`` from a seat on; None again and again while there is none.

        Raises:
            TryAgain: the seat was lost, for this process stood still too long.
        """
        holder = uuid.uuid4().hex
        seen: dict[int, tuple[Seat, float]] = {}
        began = self.clock()
        seat = self._take(holder, seen)
        while seat is None:
            yield None
            self.wait(min(_LOOK_SECONDS, self.still_seconds / _BEATS) * random.uniform(0.5, 1.0))  # noqa: S311
            seat = self._take(holder, seen)
        if seen:
            log.info("seat.taken", seat=seat.number, waited_seconds=round(self.clock() - began, 3))
        with _Kept(self, seat) as kept:
            try:
                for batch in batches:
                    kept.check()
                    yield batch
            finally:
                # Its cursor and connection go before the seat does.
                close = getattr(batches, "close", None)
                if close is not None:
                    close()

    def _take(self, holder: str, seen: dict[int, tuple[Seat, float]]) -> Seat | None:
        """Take a seat that is free or stands still; ``seen`` is what this waiter has seen so far."""
        taken = {seat.number: seat for seat in self.tracker.seats(self.address)}
        now = self.clock()
        free = [number for number in range(self.seats) if number not in taken]
        random.shuffle(free)
        for number in free:
            seat = Seat(number, holder)
            if self.tracker.take_seat(self.address, seat):
                return seat
        for number in range(self.seats):
            if number not in taken:
                continue
            before, since = seen.get(number, (None, now))
            if before != taken[number]:
                seen[number] = (taken[number], now)
            elif now - since >= self.still_seconds:
                seat = Seat(number, holder)
                if self.tracker.take_seat(self.address, seat, instead_of=taken[number]):
                    log.warning("seat.taken_over", seat=number)
                    return seat
        return None


class _Kept(AbstractContextManager["_Kept"]):
    """A seat whose beat is counted up in a thread of its own, and that is given back at the end."""

    def __init__(self, seating: Seating, seat: Seat) -> None:
        self._seating = seating
        self._seat = seat
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="seat", daemon=True)

    def __enter__(self) -> _Kept:
        """Begin to count."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the seat back; what cannot be given back is taken when it has stood still."""
        self._ended.set()
        self._thread.join()
        with suppress(SkfleetError):
            self._seating.tracker.release_seat(self._seating.address, self._seat)

    def check(self) -> None:
        """Raise TryAgain if the seat was lost."""
        if self._lost.is_set():
            raise TryAgain(
                "This scorer stood still so long that another one took its seat at the warehouse; the chunk "
                "is read again."
            )

    def _beat(self) -> None:
        while not self._ended.wait(self._seating.still_seconds / _BEATS):
            # A beat that does not come through is made up for by the next one.
            with suppress(SkfleetError):
                later = self._seating.tracker.beat_seat(self._seating.address, self._seat)
                if later is None:
                    self._lost.set()
                    return
                self._seat = later
