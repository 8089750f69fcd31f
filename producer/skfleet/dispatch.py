"""Dispatch: the messages of a job's present run on their way to the queue. Sending one twice is harmless."""

from __future__ import annotations

from collections.abc import Sequence

from skfleet.progress import Steps
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import Chunk
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, encode

#: Messages between two updates of the progress bar.
MESSAGES_A_STEP = 100


def send_chunks(
    cloud: Cloud, record: JobRecord, chunks: Sequence[Chunk], *, positions: Sequence[int], steps: Steps
) -> int:
    """Send the messages of these positions; ``chunks`` are all of the run. Gives how many were sent."""
    with steps.step("Sending chunks", total=len(positions), unit="chunks") as step:
        for begin in range(0, len(positions), MESSAGES_A_STEP):
            batch = positions[begin : begin + MESSAGES_A_STEP]
            cloud.queue.send(
                [
                    encode(
                        ChunkMessage(
                            job=record.job,
                            run=record.run,
                            position=position,
                            run_chunks=len(chunks),
                            chunk=chunks[position],
                        )
                    )
                    for position in batch
                ]
            )
            step.reach(begin + len(batch))
    return len(positions)


def send_publish(cloud: Cloud, record: JobRecord) -> int:
    """Ask for the publication of a job all of whose chunks are done, if it may still be published.

    A run without chunks needs this: nobody will ever find its tree's root full.
    """
    if not cloud.tracker.begin_publishing(record.job, run=record.run):
        return 0
    cloud.queue.send([encode(PublishMessage(job=record.job, run=record.run))])
    return 1
