"""Resume: send again what a job's present run waits for, when its producer died or its messages are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from skfleet.dispatch import send_chunks, send_publish
from skfleet.effect import Effect, no_effect, sent_effect
from skfleet.progress import Steps
from skfleet.runs import chunk_plan, chunks_of_run
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState
from skfleet_common.contracts.tree import CompletionTree


def resume(cloud: Cloud, job: str, *, steps: Steps) -> Effect:
    """Send the messages of a job that has not ended for all that is not committed.

    Raises:
        Refused: the job FAILED, or its plan is gone.
    """
    record = cloud.tracker.job(job)
    if record.state is JobState.FAILED:
        raise Refused(f"Job {job} has FAILED; take up its failed chunks again with: skfleet retry {job}")
    if record.state.is_terminal:
        return no_effect(record, f"Job {job} is {record.state}; nothing is left to do.")
    if record.state is JobState.PUBLISHING or record.run_chunks == 0:
        return _publish_again(cloud, record)
    chunks = chunks_of_run(cloud, record, chunk_plan(cloud, job))
    done = cloud.tracker.progress(job, record.run, len(chunks)).done
    positions = list(positions_to_send(done, len(chunks), fan_in=cloud.tracker.fan_in))
    sent = send_chunks(cloud, record, chunks, positions=positions, steps=steps)
    cloud.tracker.move(job, JobState.RUNNING, run=record.run)
    undone = len(chunks) - len(done)
    what = (
        f"messages for all of its {undone:,} chunks that are not done were sent again."
        if undone
        else "all its chunks are done; workers were asked to end it."
    )
    return sent_effect(cloud, job, run=record.run, sent=sent, sentence=f"Job {job} goes on: {what}")


def positions_to_send(done: Iterable[int], run_chunks: int, *, fan_in: int) -> Iterator[int]:
    """Give the positions without a commit, and one of each leaf that is full.

    Whoever filled the leaf may have died before it told the tree: the chunk is not scored again, but its
    worker climbs again.
    """
    tree = CompletionTree(run_chunks, fan_in)
    standing = frozenset(done)
    for leaf in tree.leaves():
        first = leaf.index * fan_in
        positions = range(first, first + tree.size(leaf))
        yield from [position for position in positions if position not in standing] or [first]


def _publish_again(cloud: Cloud, record: JobRecord) -> Effect:
    sent = send_publish(cloud, record)
    if not sent:
        standing = cloud.tracker.job(record.job)
        return no_effect(standing, f"Job {record.job} is {standing.state}; nothing is left to do.")
    sentence = f"Job {record.job} goes on: its chunks are done, and its publication is asked for again."
    return sent_effect(cloud, record.job, run=record.run, sent=sent, sentence=sentence)
