"""Receipts that went stale: on AWS such a call may do what it says, or fail; neither is an error here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from tests.contract.scripted_endpoint import Answer, scripted_endpoint

from skfleet_common.aws.clients import open_clients
from skfleet_common.aws.queue import Delivery, Queue
from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.settings import Settings

DELIVERY = Delivery(body="{}", receipt="stale", receive_count=1, message_id="m")
WORKS = Answer.of_json({})
STALE = [
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
]


@contextmanager
def queue_answering(*answers: Answer) -> Iterator[tuple[Queue, list[str]]]:
    """Give a queue whose calls get these answers, and the receipts that they named."""
    receipts: list[str] = []
    with scripted_endpoint(answers) as endpoint:
        clients = open_clients(Settings(aws_endpoint_url=endpoint.url))
        with closing(clients.sqs), closing(clients.sqs_control):
            url = f"{endpoint.url}/000000000000/queue"
            yield Queue(clients.sqs, clients.sqs_control, url, "queue", endpoint.url, 120), receipts
    receipts += [request["ReceiptHandle"] for request in endpoint.requests]


def refusing(code: str) -> Answer:
    return Answer.of_json({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}, status=400)


def test_a_stale_receipt_that_works_is_no_error() -> None:
    with queue_answering(WORKS, WORKS, WORKS) as (queue, receipts):
        queue.ack(DELIVERY)
        queue.release(DELIVERY)
        # True is no proof that the lease is still ours; whoever asked later decides by the clock.
        assert queue.extend(DELIVERY, 60)
    assert receipts == ["stale"] * 3


@pytest.mark.parametrize("code", STALE)
def test_a_stale_receipt_that_fails_is_no_error_and_tells_that_the_lease_is_lost(code: str) -> None:
    refused = refusing(code)
    with queue_answering(refused, refused, refused) as (queue, receipts):
        queue.ack(DELIVERY)
        queue.release(DELIVERY)
        assert not queue.extend(DELIVERY, 60)
    # Each was asked once: nothing makes a stale receipt fresh.
    assert receipts == ["stale"] * 3


@pytest.mark.parametrize("code", ["AccessDenied", "QueueDoesNotExist"])
def test_another_refusal_is_told(code: str) -> None:
    refused = refusing(code)
    with queue_answering(refused, refused, refused) as (queue, _):
        for call in (
            lambda: queue.ack(DELIVERY),
            lambda: queue.release(DELIVERY),
            lambda: queue.extend(DELIVERY, 60),
        ):
            with pytest.raises(SkfleetError):
                call()
