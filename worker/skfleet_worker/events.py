"""Events: what threads tell the supervisor's main loop."""

from __future__ import annotations

from dataclasses import dataclass

from skfleet_common.aws.queue import Delivery
from skfleet_worker.interruptions import Interruption
from skfleet_worker.lease import Lease
from skfleet_worker.work import Work


@dataclass(frozen=True)
class Arrived:
    """The receiver brings deliveries; none at all is its last word."""

    deliveries: list[Delivery]
    #: When the call that brought them began: their leases may be that old.
    received_at: float


@dataclass(frozen=True)
class Entrusted:
    """The caretaker has work that no delivery brought."""

    work: Work


@dataclass(frozen=True)
class Lost:
    """A lease is another worker's now."""

    lease: Lease


#: None only wakes the loop.
Event = Arrived | Entrusted | Lost | Interruption | None
