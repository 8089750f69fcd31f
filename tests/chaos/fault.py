"""What every fault is: something that happens to the fleet at a defined moment, and is mended or not."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from skfleet_common.contracts.states import JobState

if TYPE_CHECKING:
    from tests.chaos.trial import Trial


class Moment(IntEnum):
    """When a fault strikes, in the order in which a trial comes to it."""

    #: The table is planned, and nothing is written or sent yet.
    SUBMITTING = 0
    #: Some chunks are committed, and the readers of the next ones wait at the gate.
    SCORING = 1
    #: All chunks but the last are committed.
    PUBLISHING = 2
    #: A publication is held in mid-swap.
    IN_SWAP = 3
    #: The output is published, and the tracker has not heard of it.
    PUBLISHED = 4


class Fault:
    """One fault. Everything random about it is drawn when it is made."""

    moment: Moment = Moment.SCORING
    #: A pattern of the reason for which the job must fail; None when it must succeed all the same.
    reason: ClassVar[str | None] = None
    #: How a job ends that the fault ends.
    ends: ClassVar[JobState] = JobState.FAILED
    #: A pattern of the reason for which the job may fail, if a worker is faster than the suite.
    may_fail: ClassVar[str | None] = None
    #: What the request must ask for.
    asks: ClassVar[Mapping[str, object]] = {}
    #: Whether it needs a bundle that no worker has opened before.
    needs_new_bundle: ClassVar[bool] = False
    #: Whether it kills a process that sends the messages, so that the suite itself must not.
    submits: ClassVar[bool] = False
    #: Whether it changes rows, or has them read anew: two such faults would hit each other.
    changes_rows: ClassVar[bool] = False

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        #: For a fault while scoring: the share of the chunks that are committed before.
        self.when = rng.uniform(0.15, 0.8)

    def prepare(self, trial: Trial) -> None:
        """Change what is there before the job is planned."""

    def arm(self, trial: Trial) -> None:
        """Get ready to strike at the right place of a publication, before the fleet can come there."""

    def strike(self, trial: Trial) -> None:
        """Let it happen."""
        raise NotImplementedError

    def let_go(self, trial: Trial) -> None:
        """Let the publication go on that was held for the fault; the next fault is armed by then."""

    def is_over(self, trial: Trial) -> bool:
        """Whether it is time to mend what can be mended; asked again and again."""
        return False

    def mend(self, trial: Trial) -> None:
        """Undo what does not end by itself; called once, also when the trial breaks off."""

    def problems(self, trial: Trial) -> Iterable[str]:
        """Give what is not as it must be after this fault, beyond what is true after any."""
        return ()

    def has_hit(self, trial: Trial) -> bool:
        """Whether it met anything at all; one that hit nothing proves nothing."""
        return True


class Circumstance(Fault):
    """No fault, but something about the job that must stay true under every fault."""

    moment = Moment.SUBMITTING

    def strike(self, trial: Trial) -> None:
        """It is there from the beginning."""
