"""What supervisor and scorer say to each other over their pipe: small frozen values, pickled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from skfleet_common.contracts.messages import ChunkMessage, PublishMessage


@dataclass(frozen=True)
class Assignment:
    """Supervisor to scorer: carry out this message."""

    message: ChunkMessage | PublishMessage
    #: How often SQS has delivered the message, this time included.
    receive_count: int
    #: When set, the message is not tried again: the chunk is recorded as failed for this reason.
    give_up_because: str | None = None
    #: Rows that the scorer may hold at a time; None is the setting.
    batch_rows: int | None = None
    #: One sentence on what went wrong here before, for the commit.
    trouble: str | None = None

    @property
    def attempt(self) -> int:
        """Which attempt this is, of those that count: one that was drained or lost has not failed."""
        return self.message.failures + 1

    @property
    def setbacks(self) -> int:
        """How many attempts something around the chunk has ended; a publication counts none."""
        return self.message.setbacks if isinstance(self.message, ChunkMessage) else 0

    @property
    def attempts(self) -> int:
        """How many deliveries there were, those among them that did not fail included."""
        return self.message.failures + self.setbacks + self.receive_count


@dataclass(frozen=True)
class Ready:
    """Scorer to supervisor: everything is imported and connected, send work."""

    pid: int


@dataclass(frozen=True)
class Unfit:
    """Scorer to supervisor: I cannot start, for a reason that a person must mend, or that may pass."""

    sentence: str
    exit_code: int
    may_pass: bool = False


@dataclass(frozen=True)
class Progress:
    """Scorer to supervisor: a stage or batch is through; ``rows`` of the chunk are scored so far."""

    rows: int


class Ending(StrEnum):
    """What the supervisor does with the delivery."""

    ACK = "ack"
    #: The attempt failed, and counts; another one may succeed.
    RELEASE = "release"
    #: Something around the chunk failed, which is counted apart; this host takes a rest.
    SETBACK = "setback"
    #: Nothing has failed, and nothing is counted: what it waits for passes by itself.
    LATER = "later"
    #: The lease ran out: nothing has failed, and the delivery is no longer ours to speak of.
    LOST = "lost"
    #: The memory did not suffice: the same again in smaller batches, in a process with a clean heap.
    SMALLER = "smaller"


@dataclass(frozen=True)
class Finished:
    """Scorer to supervisor: the attempt is over."""

    ending: Ending
    #: Seconds that a released message stays hidden, so that a failing dependency is not hammered.
    delay_seconds: int = 0


FromScorer = Ready | Unfit | Progress | Finished
