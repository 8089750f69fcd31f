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


@dataclass(frozen=True)
class Ready:
    """Scorer to supervisor: everything is imported and connected, send work."""

    pid: int


@dataclass(frozen=True)
class Unfit:
    """Scorer to supervisor: I cannot start, for a reason that a person must mend."""

    sentence: str
    exit_code: int


@dataclass(frozen=True)
class Progress:
    """Scorer to supervisor: a stage or batch is through; ``rows`` of the chunk are scored so far."""

    rows: int


class Ending(StrEnum):
    """What the supervisor does with the delivery."""

    ACK = "ack"
    RELEASE = "release"


@dataclass(frozen=True)
class Finished:
    """Scorer to supervisor: the attempt is over."""

    ending: Ending
    #: Seconds that a released message stays hidden, so that a failing dependency is not hammered.
    delay_seconds: int = 0


FromScorer = Ready | Unfit | Progress | Finished
