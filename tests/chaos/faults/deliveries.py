"""What SQS is allowed to do: twice, out of order, nothing at all, and receipts that are stale."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.chaos.fault import Fault, Moment
from tests.chaos.trial import Trial


class Courier(Fault):
    """A rule of the courier's, from before the first message to the end of the trial."""

    moment = Moment.SUBMITTING
    kind: ClassVar[str]
    operations: ClassVar[tuple[str, ...]]

    def more(self) -> dict[str, Any]:
        """Give the rest of the rule."""
        return {}

    def strike(self, trial: Trial) -> None:
        self.taken = 0
        self.rule = trial.place.wire.add(self.kind, "sqs", *self.operations, **self.more())

    def mend(self, trial: Trial) -> None:
        self.taken = max(self.taken, trial.place.wire.rule(self.rule)["taken"])

    def has_hit(self, trial: Trial) -> bool:
        return bool(self.taken or trial.place.wire.rule(self.rule)["taken"])


class Duplicates(Courier):
    """Every message is sent twice."""

    kind = "twice"
    operations = ("SendMessageBatch",)


class OutOfOrder(Courier):
    """Messages come in another order than they were sent."""

    kind = "shuffle"
    operations = ("SendMessageBatch",)

    def more(self) -> dict[str, Any]:
        return {"seed": self.rng.randrange(1_000_000)}


class EmptyPolls(Courier):
    """Long polls come back at once with nothing, as when too many messages are in flight."""

    kind = "empty"
    operations = ("ReceiveMessage",)

    def more(self) -> dict[str, Any]:
        return {"times": 8, "every": self.rng.choice([1, 2])}


class StaleReceiptFails(Courier):
    """A message is delivered again while it is worked on; the older receipt is refused."""

    kind = "reappear"
    operations = ("ReceiveMessage",)
    #: What becomes of calls with the older receipt; only where there are some, anything has been met.
    stale: ClassVar[str] = "stale-fails"
    calls: ClassVar[tuple[str, ...]] = ("DeleteMessage", "ChangeMessageVisibility")

    def more(self) -> dict[str, Any]:
        # Not every delivery: a message would be received more often than its queue allows.
        return {"times": 6, "every": 2}

    def strike(self, trial: Trial) -> None:
        super().strike(trial)
        self.met = 0
        self.second = trial.place.wire.add(self.stale, "sqs", *self.calls)

    def mend(self, trial: Trial) -> None:
        self.met = max(self.met, trial.place.wire.rule(self.second)["met"])

    def has_hit(self, trial: Trial) -> bool:
        return bool(self.met or trial.place.wire.rule(self.second)["met"])


class StaleReceiptDeletes(StaleReceiptFails):
    """The same, but the older receipt hides and deletes the message, though somebody else has it."""

    stale = "stale-works"
