"""What AWS calls may meet, on each of SQS, S3 and DynamoDB: bursts of failures between calls that work."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from tests.chaos.fault import Fault, Moment
from tests.chaos.trial import Trial

SERVICES = ("sqs", "s3", "dynamodb")

#: What each service calls it (their error pages).
THROTTLING = {
    "sqs": {"code": "RequestThrottled", "status": 400},
    "s3": {"code": "SlowDown", "status": 503},
    "dynamodb": {"code": "ProvisionedThroughputExceededException", "status": 400},
}
FAILING = {
    "sqs": {"code": "ServiceUnavailable", "status": 503},
    "s3": {"code": "InternalError", "status": 500},
    "dynamodb": {"code": "InternalServerError", "status": 500},
}
#: Calls that change something: when their reply is lost, the change is there.
APPLIED = {
    "sqs": ("SendMessageBatch", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"),
    "s3": ("PutObject",),
    "dynamodb": ("PutItem", "UpdateItem", "TransactWriteItems"),
}
#: Calls whose replies have a body; of SQS and DynamoDB, all do.
ANSWERED = {"sqs": (), "s3": ("GetObject",), "dynamodb": ()}


class CloudFault(Fault):
    """A burst: some calls of a service fail, then some work, and so on, until so many have failed."""

    service: ClassVar[str]

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.moment = rng.choice([Moment.SUBMITTING, Moment.SCORING, Moment.PUBLISHING])
        self.fail, self.work, self.times = rng.choice([1, 2]), rng.choice([1, 2, 3]), rng.randint(6, 12)


class Burst(CloudFault):
    """One that microburst makes."""

    def rule(self) -> dict[str, Any]:
        """Give what happens to a call."""
        raise NotImplementedError

    def strike(self, trial: Trial) -> None:
        burst = {"fail": self.fail, "pass": self.work}
        trial.place.wire.add_errors(
            {"service": self.service, "sequence": burst, "times": self.times, **self.rule()}
        )

    def has_hit(self, trial: Trial) -> bool:
        return trial.place.wire.errors_fired(self.service) > 0


class Throttled(Burst):
    """Too many requests, says the service."""

    def rule(self) -> dict[str, Any]:
        return {"error": THROTTLING[self.service]}


class Failing(Burst):
    """The service is unwell: 5xx."""

    def rule(self) -> dict[str, Any]:
        return {"error": FAILING[self.service]}


class Reset(Burst):
    """The connection is reset before the call is applied."""

    def rule(self) -> dict[str, Any]:
        return {"reset": True}


class Truncated(CloudFault):
    """The reply breaks off in the middle of its body."""

    def strike(self, trial: Trial) -> None:
        self.number = trial.place.wire.add(
            "cut", self.service, *ANSWERED[self.service], every=1 + self.work, times=self.times
        )

    def has_hit(self, trial: Trial) -> bool:
        return bool(trial.place.wire.rule(self.number)["taken"])


class Lost(CloudFault):
    """The call is applied, and its reply never arrives."""

    def strike(self, trial: Trial) -> None:
        wire = trial.place.wire
        often = {"every": 1 + self.work, "times": self.times}
        self.numbers = [wire.add("lose", self.service, *APPLIED[self.service], **often)]
        if self.service == "dynamodb" and self.moment is Moment.SUBMITTING:
            # A job is created by the only transaction there is, which "every second call" would miss.
            self.numbers.append(wire.add("lose", self.service, "TransactWriteItems", times=1))

    def has_hit(self, trial: Trial) -> bool:
        return any(trial.place.wire.rule(number)["taken"] for number in self.numbers)


def on(kind: type[CloudFault], service: str) -> type[CloudFault]:
    """Give the fault on one service."""
    return type(f"{kind.__name__}_{service}", (kind,), {"service": service})
