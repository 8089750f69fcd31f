"""What a healthy run costs: every request of its producer and its workers, heartbeats aside."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import closing

from tests.integration.counting_proxy import HEARTBEATS, CountingProxy, counting_proxy
from tests.integration.worker_fleet import MODEL, Fleet

import skfleet
from skfleet_common.contracts.states import JobState

CHUNK_ROWS = 50
MOST_A_CHUNK = 3
#: Two queue addresses for each process; the job's token, record, moves, turn to publish and publish message;
#: and the workers' first and last polls.
BESIDE_THE_CHUNKS = 24


def test_a_chunk_costs_at_most_three_queue_requests_and_three_tracker_writes(fleet: Fleet) -> None:
    endpoint = str(fleet.settings.aws_endpoint_url)
    with counting_proxy(endpoint) as producers, counting_proxy(endpoint) as workers:
        for _ in range(2):
            fleet.start_worker(
                aws_endpoint_url=workers.url,
                lease_seconds=120,
                heartbeat_seconds=40,
                poll_seconds=20,
                care_seconds=60,
            )
        for worker in fleet.workers:
            worker.wait_for("scorer.ready")
        settings = fleet.settings.model_copy(
            update={"aws_endpoint_url": producers.url, "warehouse_url": fleet.server.url}
        )
        producer = skfleet.connect(settings)
        with closing(producer.cloud):
            job = producer.predict(
                model=f"{MODEL}@{fleet.digest}",
                table="public.flights",
                id_column="id",
                output_table="public.scores_of_an_economical_run",
                chunk_rows=CHUNK_ROWS,
            )
            assert job.wait(timeout_seconds=60).state is JobState.SUCCEEDED
        fleet.assert_queue_empty()
        for worker in fleet.workers:
            worker.process.kill()
            worker.process.wait()
    assert fleet.sql("SELECT count(*) FROM scores_of_an_economical_run") == [(4_000,)]
    chunks = job.record.chunks
    assert chunks >= 50
    requests, writes = producers.requests + workers.requests, producers.writes + workers.writes
    sys.stdout.write(table(chunks, producers, workers))
    assert sum(asked(requests).values()) <= MOST_A_CHUNK * chunks
    assert sum(asked(writes).values()) <= MOST_A_CHUNK * chunks
    # The figures themselves: a tenth of a batch, a receipt and an ack; a commit and a leaf.
    assert sum(asked(requests).values()) <= 2.1 * chunks + BESIDE_THE_CHUNKS
    assert sum(asked(writes).values()) <= 2 * chunks + BESIDE_THE_CHUNKS
    # They were really counted.
    assert requests["SQS DeleteMessage"] >= chunks
    assert writes["DynamoDB PutItem"] >= chunks
    assert writes["DynamoDB UpdateItem"] >= chunks


def asked(counts: Counter[str]) -> Counter[str]:
    """Leave out what a worker does because time passes."""
    return Counter({name: count for name, count in counts.items() if name not in HEARTBEATS})


def table(chunks: int, producers: CountingProxy, workers: CountingProxy) -> str:
    """Give what was counted, by operation."""
    rows = [f"{'':32}{'producer':>10}{'workers':>10}{'a chunk':>10}"]
    for kind in ("requests", "writes"):
        ours, theirs = getattr(producers, kind), getattr(workers, kind)
        for name in sorted(ours | theirs):
            both = (ours[name] + theirs[name]) / chunks
            rows.append(f"{name:32}{ours[name]:>10}{theirs[name]:>10}{both:>10.2f}")
    return "\n".join(["", *rows, ""])
