"""What operators do to a job, in as few requests as can be: the model's own retry, resume and cancel.

Each may die between any two requests, and be begun again, also by two operators at once.
"""

from __future__ import annotations

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.jobs import CommitOutcome, JobRecord
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, encode
from skfleet_common.contracts.runs import RunPlan
from skfleet_common.contracts.states import JobState
from skfleet_common.tables.port import Publisher


def retry(cloud: Cloud, job: str) -> None:
    """Begin a run over the chunks that are not done, if the job FAILED; then send what is missing."""
    record = cloud.tracker.job(job)
    if record.state is JobState.FAILED:
        commits = cloud.tracker.commits(job, range(record.chunks))
        done = {commit.chunk for commit in commits if commit.outcome is CommitOutcome.DONE}
        left = tuple(chunk for chunk in range(record.chunks) if chunk not in done)
        key = cloud.names.run_plan(job, record.run + 1)
        # Of two operators at once, both go on with the first one's plan.
        cloud.store.put_new(key, RunPlan(job=job, run=record.run + 1, chunks=left).to_json())
        plan = RunPlan.from_json(cloud.store.get(key))
        cloud.tracker.start_run(job, run=plan.run, run_chunks=len(plan.chunks))
    resume(cloud, job)


def resume(cloud: Cloud, job: str) -> None:
    """Send again what a job needs to come to its end, whatever was lost of its messages."""
    record = cloud.tracker.job(job)
    if record.state in {JobState.SUBMITTING, JobState.RUNNING}:
        cloud.queue.send(_missing(cloud, record))
        if record.state is JobState.SUBMITTING:
            cloud.tracker.move(job, JobState.RUNNING, run=record.run)
    is_due = record.state is JobState.PUBLISHING or record.run_chunks == 0
    if is_due and cloud.tracker.begin_publishing(job, run=record.run):
        cloud.queue.send([encode(PublishMessage(job=job, run=record.run))])


def cancel(cloud: Cloud, publisher: Publisher, job: str) -> None:
    """End a job without an output, unless it has one: the ledger first, since the job may go on meanwhile."""
    record = cloud.tracker.job(job)
    if not record.state.is_terminal and publisher.abandon(record.output_table, job=job, run=record.run):
        cloud.tracker.move(job, JobState.CANCELLED, run=record.run)


def chunks_of_run(cloud: Cloud, job: str, run: int) -> tuple[int, ...]:
    """Give the chunks of a run, by position."""
    if run == 1:
        plan = ChunkPlan.from_json(cloud.store.get(cloud.names.plan(job)))
        return tuple(chunk.number for chunk in plan.chunks)
    return RunPlan.from_json(cloud.store.get(cloud.names.run_plan(job, run))).chunks


def _missing(cloud: Cloud, record: JobRecord) -> list[str]:
    """Give a message for every chunk that is not in the tree, and one for each leaf that has something.

    Who committed a leaf's last chunk may have died on its way up: a redelivery climbs again.
    """
    planned = ChunkPlan.from_json(cloud.store.get(cloud.names.plan(record.job))).chunks
    chunks = chunks_of_run(cloud, record.job, record.run)
    done = cloud.tracker.progress(record.job, record.run, record.run_chunks).done
    climbers = {position // cloud.tracker.fan_in: position for position in done}
    return [
        encode(
            ChunkMessage(
                job=record.job,
                run=record.run,
                position=position,
                run_chunks=record.run_chunks,
                chunk=planned[chunk],
            )
        )
        for position, chunk in enumerate(chunks)
        if position not in done or position in climbers.values()
    ]
