"""The queue on a real SQS API."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import eventually
from tests.contract.scripted_endpoint import Answer, scripted_endpoint

from skfleet_common.aws import clients
from skfleet_common.aws.clients import open_clients
from skfleet_common.aws.creation import MAX_RECEIVES
from skfleet_common.aws.queue import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Delivery, Queue, batches
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import EnvironmentFault, SkfleetError
from skfleet_common.settings import Settings


@pytest.fixture
def queue(cloud: Cloud) -> Queue:
    return cloud.queue


@contextmanager
def queue_at(url: str) -> Iterator[Queue]:
    opened = open_clients(Settings(aws_endpoint_url=url, poll_seconds=1))
    try:
        yield Queue(opened.sqs, opened.sqs_control, f"{url}/000000000000/queue", "queue", url, 120)
    finally:
        opened.sqs.close()
        opened.sqs_control.close()


def _sent(bodies: list[str]) -> Answer:
    entries = [
        {"Id": str(index), "MessageId": str(index), "MD5OfMessageBody": ""} for index in range(len(bodies))
    ]
    return Answer.of_json({"Successful": entries, "Failed": []})


def test_all_messages_of_several_batches_arrive(queue: Queue) -> None:
    queue.send([f"message {n}" for n in range(23)])
    arrived: set[str] = set()
    while deliveries := queue.receive():
        for delivery in deliveries:
            arrived.add(delivery.body)
            queue.ack(delivery)
    assert arrived == {f"message {n}" for n in range(23)}
    assert queue.approximate_depth().total == 0


def test_sending_nothing_is_no_request(queue: Queue) -> None:
    queue.send([])
    assert queue.receive() == []


def test_a_held_message_is_hidden_and_a_released_one_comes_at_once(queue: Queue) -> None:
    queue.send(["message"])
    [delivery] = queue.receive(limit=1)
    assert delivery.receive_count == 1
    assert queue.receive() == []
    queue.release(delivery)
    [again] = queue.receive(wait_seconds=1)
    assert (again.body, again.receive_count) == ("message", 2)
    assert again.message_id == delivery.message_id


def test_a_message_released_with_a_delay_stays_hidden_till_then(queue: Queue) -> None:
    queue.send(["message"])
    [delivery] = queue.receive()
    queue.release(delivery, delay_seconds=1)
    assert queue.receive() == []
    assert eventually(lambda: queue.receive(wait_seconds=1))[0].body == "message"


def test_an_extended_lease_outlives_the_first(cloud: Cloud) -> None:
    queue = Queue(
        cloud.queue.client,
        cloud.queue.control,
        cloud.queue.url,
        cloud.queue.name,
        cloud.queue.where,
        lease_seconds=1,
    )
    queue.send(["long", "short"])
    deliveries = {delivery.body: delivery for delivery in queue.receive()}
    assert queue.extend(deliveries["long"], 60)
    # The short one's return shows that the time has passed after which the long one would have returned.
    assert [delivery.body for delivery in eventually(queue.receive)] == ["short"]


def test_a_lost_lease_is_told_and_neither_ack_nor_release_of_it_fails(queue: Queue) -> None:
    queue.send(["message"])
    [delivery] = queue.receive()
    queue.ack(delivery)
    assert not queue.extend(delivery, 60)
    queue.ack(delivery)
    queue.release(delivery)


def test_depth_tells_waiting_from_held(queue: Queue) -> None:
    queue.send(["a", "b", "c"])
    queue.receive(limit=1)
    depth = queue.approximate_depth()
    assert (depth.visible, depth.in_flight, depth.total) == (2, 1, 3)


def test_a_message_delivered_too_often_becomes_a_dead_letter(cloud: Cloud) -> None:
    cloud.queue.send(["poison"])
    for _ in range(MAX_RECEIVES):
        [delivery] = cloud.queue.receive(wait_seconds=1)
        cloud.queue.release(delivery)
    assert cloud.queue.receive() == []
    assert [delivery.body for delivery in cloud.dead_letters.receive(wait_seconds=1)] == ["poison"]


def test_entries_that_sqs_failed_are_sent_again_alone() -> None:
    failed = Answer.of_json(
        {
            "Successful": [{"Id": "0", "MessageId": "0", "MD5OfMessageBody": ""}],
            "Failed": [{"Id": "1", "SenderFault": False, "Code": "InternalError"}],
        }
    )
    with scripted_endpoint([failed, _sent(["b"])]) as endpoint, queue_at(endpoint.url) as queue:
        queue.send(["a", "b"])
    sent = [[entry["MessageBody"] for entry in request["Entries"]] for request in endpoint.requests]
    assert sent == [["a", "b"], ["b"]]


def test_an_entry_that_is_the_senders_fault_is_not_sent_again() -> None:
    refused = Answer.of_json(
        {"Successful": [], "Failed": [{"Id": "0", "SenderFault": True, "Code": "InvalidMessageContents"}]}
    )
    with (
        scripted_endpoint([refused]) as endpoint,
        queue_at(endpoint.url) as queue,
        pytest.raises(EnvironmentFault, match="InvalidMessageContents"),
    ):
        queue.send(["a"])
    assert len(endpoint.requests) == 1


@given(st.lists(st.integers(0, MAX_BATCH_BYTES).map(lambda size: "x" * size), max_size=25))
def test_batches_keep_every_message_in_order_and_within_the_quotas(bodies: list[str]) -> None:
    cut = list(batches(bodies))
    assert [body for batch in cut for body in batch] == bodies
    assert all(0 < len(batch) <= MAX_BATCH_ENTRIES for batch in cut)
    assert all(sum(map(len, batch)) <= MAX_BATCH_BYTES for batch in cut)


def test_a_call_that_hangs_gives_up_long_before_a_lease_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (clients.CONTROL_CONNECT_SECONDS + clients.CONTROL_READ_SECONDS) * clients.CONTROL_ATTEMPTS < 20
    monkeypatch.setattr(clients, "CONTROL_READ_SECONDS", 0.2)
    # It takes connections, and never answers.
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as deaf,
        queue_at(f"http://127.0.0.1:{deaf.getsockname()[1]}") as queue,
    ):
        began = time.monotonic()
        delivery = Delivery(body="{}", receipt="r", receive_count=1, message_id="m")
        for call in (lambda: queue.extend(delivery, 30), lambda: queue.ack(delivery)):
            with pytest.raises(SkfleetError):
                call()
    assert time.monotonic() - began < 10


def test_a_single_message_stays_hidden_for_its_delay(cloud: Cloud) -> None:
    cloud.queue.send_one("later", delay_seconds=900)
    cloud.queue.send_one("now")
    assert [delivery.body for delivery in cloud.queue.receive(wait_seconds=5)] == ["now"]
    assert cloud.queue.approximate_depth().delayed == 1
