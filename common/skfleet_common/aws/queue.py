"""The queue: SQS with every batch reply read and every hazard of receipts named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.contracts.errors import EnvironmentFault, TryAgain
from skfleet_common.retry import cloud_calls

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: SQS takes and gives ten messages in one call (SQS quotas page).
MAX_BATCH_ENTRIES = 10
#: All bodies of one call together (SQS quotas page); bodies under 6 KB never come near it.
MAX_BATCH_BYTES = 1024 * 1024

#: SQS knows the receipt no more, or has seen the message deleted or returned, or the 12 hours are over.
_STALE_CODES = frozenset(
    {
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "MessageNotInflight",
        "ReceiptHandleIsInvalid",
    }
)


@dataclass(frozen=True)
class Delivery:
    """One receipt of a message. ``receive_count`` counts this delivery too, so it begins at 1."""

    body: str
    receipt: str
    receive_count: int
    message_id: str
    #: How long ago the message was sent, to within a second, by SQS's own clock; None if SQS does not say.
    age_seconds: float | None = None


@dataclass(frozen=True)
class Depth:
    """About how many messages wait, are held by workers, and wait for their delay to end."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.visible + self.in_flight + self.delayed


@dataclass(frozen=True)
class Queue:
    """One SQS queue."""

    client: SQSClient
    #: For extend, release, ack and one message at a time: a client that gives up early.
    control: SQSClient
    url: str
    name: str
    where: str
    #: How long a receipt hides a message; the worker's setting, not the queue's default, counts.
    lease_seconds: int

    def send(self, bodies: Sequence[str]) -> None:
        """Send messages; some may be sent twice, none is left out silently.

        Raises:
            TryAgain: SQS kept failing some of them; sending all again is harmless.
            EnvironmentFault: SQS refuses a message for what it holds.
        """
        for batch in batches(bodies):
            left = list(batch)
            for attempt in cloud_calls():
                with attempt:
                    left = self._send_once(left)
                    if left:
                        raise TryAgain(
                            f"SQS did not take {len(left)} messages for {self._target}; try again."
                        )

    def send_one(self, body: str, *, delay_seconds: int = 0) -> None:
        """Send one message that stays hidden for ``delay_seconds`` (at most 900); gives up early."""
        with cloud_faults(self._target):
            self.control.send_message(QueueUrl=self.url, MessageBody=body, DelaySeconds=delay_seconds)

    def receive(self, *, limit: int = MAX_BATCH_ENTRIES, wait_seconds: int = 0) -> list[Delivery]:
        """Take up to ``limit`` messages (at most ten), waiting up to ``wait_seconds`` for the first.

        Empty also when the quota of messages in flight is used up: SQS does not tell.
        """
        with cloud_faults(self._target):
            answer = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(limit, MAX_BATCH_ENTRIES),
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=self.lease_seconds,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
        now = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
        return [
            Delivery(
                body=message["Body"],
                receipt=message["ReceiptHandle"],
                receive_count=int(message["Attributes"]["ApproximateReceiveCount"]),
                message_id=message["MessageId"],
                age_seconds=_age_seconds(message["Attributes"].get("SentTimestamp"), now),
            )
            for message in answer.get("Messages", [])
        ]

    def extend(self, delivery: Delivery, seconds: int) -> bool:
        """Hide the message for ``seconds`` from now; False when the lease is known to be lost.

        True is no proof that the lease is still this delivery's own.
        """
        with cloud_faults(self._target):
            try:
                self.control.change_message_visibility(
                    QueueUrl=self.url, ReceiptHandle=delivery.receipt, VisibilityTimeout=seconds
                )
            except ClientError as exc:
                if error_code(exc) in _STALE_CODES:
                    return False
                raise
        return True

    def release(self, delivery: Delivery, *, delay_seconds: int = 0) -> None:
        """Make the message visible again after ``delay_seconds``; nothing happens if the lease is lost."""
        self.extend(delivery, delay_seconds)

    def ack(self, delivery: Delivery) -> None:
        """Delete the message. A stale receipt may or may not delete it; neither is an error."""
        with cloud_faults(self._target):
            try:
                self.control.delete_message(QueueUrl=self.url, ReceiptHandle=delivery.receipt)
            except ClientError as exc:
                if error_code(exc) not in _STALE_CODES:
                    raise

    def approximate_depth(self) -> Depth:
        """Give about how many messages the queue holds."""
        with cloud_faults(self._target):
            counts = self.client.get_queue_attributes(
                QueueUrl=self.url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateNumberOfMessagesDelayed",
                ],
            )["Attributes"]
        return Depth(
            visible=int(counts["ApproximateNumberOfMessages"]),
            in_flight=int(counts["ApproximateNumberOfMessagesNotVisible"]),
            delayed=int(counts["ApproximateNumberOfMessagesDelayed"]),
        )

    def max_receives(self) -> int:
        """Give after how many receives the queue lays a message with the dead letters.

        Raises:
            EnvironmentFault: it does not lay any there.
        """
        with cloud_faults(self._target):
            attributes = self.client.get_queue_attributes(
                QueueUrl=self.url, AttributeNames=["RedrivePolicy"]
            ).get("Attributes", {})
        try:
            return int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"])
        except (KeyError, ValueError) as exc:
            raise EnvironmentFault(
                f"The {self._target} has no dead-letter queue; set its redrive policy."
            ) from exc

    @property
    def _target(self) -> str:
        return f"queue {self.name} at {self.where}"

    def _send_once(self, bodies: Sequence[str]) -> list[str]:
        """Send one batch and give those that SQS failed for a reason which may pass."""
        with cloud_faults(self._target):
            answer = self.client.send_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": str(index), "MessageBody": body} for index, body in enumerate(bodies)],
            )
        failed = answer.get("Failed", [])
        for entry in failed:
            if entry["SenderFault"]:
                raise EnvironmentFault(
                    f"A message was refused by {self._target} ({entry['Code']}); update skfleet everywhere."
                )
        return [bodies[int(entry["Id"])] for entry in failed]


def batches(bodies: Sequence[str]) -> Iterator[list[str]]:
    """Cut messages into what one call may hold, in order."""
    batch: list[str] = []
    size = 0
    for body in bodies:
        length = len(body.encode())
        if batch and (len(batch) == MAX_BATCH_ENTRIES or size + length > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += length
    if batch:
        yield batch


def _age_seconds(sent_milliseconds: str | None, now: str | None) -> float | None:
    if sent_milliseconds is None or now is None:
        return None
    # The header is in whole seconds, so that a new message may seem to be of the future.
    return max(0.0, parsedate_to_datetime(now).timestamp() - int(sent_milliseconds) / 1000)
