"""SQS's side of leases, by its developer guide: visibility, receipts that go stale, calls that fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

MAX_HIDDEN_SECONDS = 12 * 3600.0


@dataclass
class Letter:
    """One message, with the times at which SQS does things to it."""

    name: str
    first_received_at: float
    hidden_until: float
    receipt: str
    is_deleted: bool = False

    def is_held_with(self, receipt: str, now: float) -> bool:
        """Whether that receipt's holder has it to himself."""
        return not self.is_deleted and self.receipt == receipt and now < self.hidden_until


@dataclass
class SimulatedSqs:
    """The three calls that end or lengthen a lease; ``now`` is the time by SQS's own clock."""

    letters: dict[str, Letter] = field(default_factory=dict)
    now: float = 0.0
    #: What becomes of the next calls: "" is nothing, "throttled" comes before the effect, "cut" after it.
    troubles: list[str] = field(default_factory=list)
    #: Whether a stale receipt works as a fresh one would: on AWS, both happen.
    stale_works: bool = False
    #: Seconds that a reply takes.
    reply_seconds: float = 0.0
    calls: list[tuple[str, str]] = field(default_factory=list)
    #: Calls that concerned a letter which its receipt's holder did not have to himself any more.
    late: list[tuple[str, str]] = field(default_factory=list)
    on_passing: Callable[[float], None] = lambda _seconds: None

    def deliver(self, lease_seconds: float) -> Letter:
        """Give a new message to the worker."""
        name = f"m{len(self.letters)}"
        letter = Letter(name, self.now, self.now + lease_seconds, f"{name} to us")
        self.letters[name] = letter
        return letter

    def deliver_to_another(self, letter: Letter) -> bool:
        """Give a message to another worker, if it is to be seen."""
        if letter.is_deleted or self.now < letter.hidden_until:
            return False
        letter.receipt = f"{letter.name} to another"
        letter.hidden_until = self.now + 120
        return True

    def change_message_visibility(self, *, ReceiptHandle: str, VisibilityTimeout: int, **_: Any) -> None:
        def effect(letter: Letter) -> None:
            if self.now >= letter.hidden_until and not self.stale_works:
                raise _refusal("MessageNotInflight")
            if self.now + VisibilityTimeout > letter.first_received_at + MAX_HIDDEN_SECONDS:
                raise _refusal("InvalidParameterValue")
            letter.hidden_until = self.now + VisibilityTimeout

        self._call("change" if VisibilityTimeout else "release", ReceiptHandle, effect)

    def delete_message(self, *, ReceiptHandle: str, **_: Any) -> None:
        def effect(letter: Letter) -> None:
            letter.is_deleted = True

        self._call("delete", ReceiptHandle, effect)

    def _call(self, name: str, receipt: str, effect: Callable[[Letter], None]) -> None:
        letter = self.letters[receipt.split(maxsplit=1)[0]]
        self.calls.append((name, receipt))
        if not letter.is_deleted and not letter.is_held_with(receipt, self.now):
            self.late.append((name, receipt))
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "throttled":
            raise _refusal("RequestThrottled")
        try:
            if letter.is_deleted or (letter.receipt != receipt and not self.stale_works):
                raise _refusal("ReceiptHandleIsInvalid")
            effect(letter)
        finally:
            self.on_passing(self.reply_seconds)
        if trouble == "cut":
            raise ReadTimeoutError(endpoint_url="https://sqs")


def _refusal(code: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(answer, "a call")
