"""Seats: of all workers of a fleet, so many read a warehouse's leader at a time.

::

    A ─ take seat 3 ✔ ─ beat 1 ─ beat 2 ─ … ─ release
    B ─ take ✘ (all are taken) ─ wait ──────────────── take ✔
    A dies ─ beat 7 stands still ─ for a while, by B's own clock ─ B takes the seat from A's beat 7

No clock of another host is looked at: whoever waits sees a beat, and the same beat again much later. A holder
that only stood still finds out at its next beat that the seat is another's. So there may be a reader too many
for a moment, never for long.
"""

from __future__ import annotations

from skfleet_common.aws.faults import cloud_faults
from skfleet_common.aws.tracker_table import (
    ITEM_VERSION,
    TTL_ATTRIBUTE,
    TrackerTable,
    from_item,
    seat_key,
    seats_pk,
    to_item,
)
from skfleet_common.contracts.seats import Seat

_NOBODYS = "attribute_not_exists(#pk)"
_AS_SEEN = "#holder = :holder AND #beat = :beat"


class Seats(TrackerTable):
    """The seats in the tracker."""

    def seats(self, address: str) -> list[Seat]:
        """Give the seats at a warehouse that are taken, as they stand."""
        with cloud_faults(self.target):
            found = self.client.query(
                TableName=self.name,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=to_item({":pk": seats_pk(address)}),
            )["Items"]
        return [
            Seat(int(item["number"]), str(item["holder"]), int(item["beat"]))
            for item in map(from_item, found)
        ]

    def take_seat(self, address: str, seat: Seat, *, instead_of: Seat | None = None) -> bool:
        """Take a free seat, or one from a holder whose beat is still that of ``instead_of``."""
        seen = instead_of or seat
        standing = self.put_if(
            self._item(address, seat),
            f"{_NOBODYS} OR ({_AS_SEEN})",
            {":holder": seen.holder, ":beat": seen.beat},
        )
        # The reply to a first try may have been lost.
        return standing is None or from_item(standing).get("holder") == seat.holder

    def beat_seat(self, address: str, seat: Seat) -> Seat | None:
        """Count a seat's beat up; None if it is another's by now, or nobody's."""
        later = Seat(seat.number, seat.holder, seat.beat + 1)
        standing = self.put_if(
            self._item(address, later), _AS_SEEN, {":holder": seat.holder, ":beat": seat.beat}
        )
        if standing is None:
            return later
        found = from_item(standing)
        # The reply to a first try may have been lost.
        return (
            Seat(seat.number, seat.holder, int(found["beat"])) if found.get("holder") == seat.holder else None
        )

    def release_seat(self, address: str, seat: Seat) -> None:
        """Give a seat back; nothing happens if it is another's by now."""
        self.delete_if(seat_key(address, seat.number), "#holder = :holder", {":holder": seat.holder})

    def _item(self, address: str, seat: Seat) -> dict[str, object]:
        return seat_key(address, seat.number) | to_item(
            {
                "v": ITEM_VERSION,
                "number": seat.number,
                "holder": seat.holder,
                "beat": seat.beat,
                TTL_ATTRIBUTE: self.expiry,
            }
        )
