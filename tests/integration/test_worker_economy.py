"""What a healthy run costs in requests, heartbeats aside."""

from __future__ import annotations

from tests.integration.counting_proxy import counting_proxy
from tests.integration.worker_fleet import Fleet

from skfleet_common.contracts.states import JobState

CHUNKS = 20
SQS_CALLS = ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "SendMessageBatch")
DYNAMODB_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")


def test_a_chunk_costs_at_most_three_queue_requests_and_three_tracker_writes(fleet: Fleet) -> None:
    job = fleet.submit(chunk_rows=4_000 // CHUNKS)
    with counting_proxy(str(fleet.settings.aws_endpoint_url)) as proxy:
        fleet.start_worker(
            scorers=2,
            aws_endpoint_url=proxy.url,
            lease_seconds=120,
            heartbeat_seconds=40,
            poll_seconds=20,
            care_seconds=60,
        )
        assert fleet.wait(job).state is JobState.SUCCEEDED
        fleet.assert_queue_empty()
        calls = proxy.calls.copy()
        fleet.workers[0].process.kill()
        fleet.workers[0].process.wait()
    fleet.assert_published(job)
    assert sum(calls[name] for name in SQS_CALLS) <= 3 * CHUNKS
    assert sum(calls[name] for name in DYNAMODB_WRITES) <= 3 * CHUNKS
    # The figures themselves: a receipt and an ack, a commit and a leaf, and a few for the job, its turn to
    # publish and presence.
    assert sum(calls[name] for name in SQS_CALLS) <= 2 * CHUNKS + 6
    assert sum(calls[name] for name in DYNAMODB_WRITES) <= 2 * CHUNKS + 8
