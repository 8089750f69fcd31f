"""What every fault is: something that happens to the fleet at a defined moment, and is mended or not."""

from __future__ import annotations

import random
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from skfleet_common.contracts.jobs import OnDrift

if TYPE_CHECKING:
    from tests.chaos.trial import Trial


class Moment(IntEnum):
    """When a fault strikes, in the order in which a trial comes to it."""

    #: The table is planned, and nothing is written or sent yet.
    SUBMITTING = 0
    #: Some chunks are committed, and the readers of the next ones wait at the gate.
    SCORING = 1
    #: All chunks are committed or about to be, and the publication is held up where the fault wants it.
    PUBLISHING = 2


class Fault:
    """One fault. Everything random about it is drawn when it is made."""

    moment: Moment = Moment.SCORING
    #: A pattern of the reason for which the job must fail; None when it must succeed all the same.
    reason: ClassVar[str | None] = None
    #: Whether it needs a bundle that no worker has opened before.
    needs_new_bundle: ClassVar[bool] = False
    #: Whether it kills a process that sends the messages, so that the suite itself must not.
    submits: ClassVar[bool] = False
    #: Whether other rows are read than were planned; what a job does about that is its request's to say.
    changes_rows: ClassVar[bool] = False
    on_drift: ClassVar[OnDrift] = OnDrift.FAIL

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        #: For a fault while scoring: the share of the chunks that are committed before.
        self.when = rng.uniform(0.15, 0.8)

    def arm(self, trial: Trial) -> None:
        """Get ready to strike at the right place, before the fleet can come there."""

    def strike(self, trial: Trial) -> None:
        """Let it happen."""
        raise NotImplementedError

    def is_over(self, trial: Trial) -> bool:
        """Whether it is time to mend what can be mended; asked again and again."""
        return False

    def mend(self, trial: Trial) -> None:
        """Undo what does not end by itself; called once, also when the trial breaks off."""

    def has_hit(self, trial: Trial) -> bool:
        """Whether it met anything at all; one that hit nothing proves nothing."""
        return True
