"""Retry: a new run of a FAILED job, over the chunks that are not done.

::

    FAILED in run r ─ write the plan of run r+1 ─ start_run ─ send its messages
                      (the first one's stands)    (one wins)  (all may send)

Whoever dies on the way leaves a job that is FAILED, to be retried, or RUNNING, to be resumed.
"""

from __future__ import annotations

from skfleet.dispatch import send_chunks, send_publish
from skfleet.effect import Effect, no_effect, sent_effect
from skfleet.lost_outputs import lost_outputs
from skfleet.progress import Steps
from skfleet.runs import chunk_plan, settle_run
from skfleet.unloads import refuse_lost_unload
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.tracker_table import DAY_SECONDS
from skfleet_common.contracts.chunks import Chunk, ChunkPlan
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import CommitOutcome, JobRecord
from skfleet_common.contracts.states import JobState

#: A run may take as long as SQS keeps its messages (SQS quotas page), and what it needs must live as long.
RUN_DAYS = 14


def retry(cloud: Cloud, job: str, *, steps: Steps) -> Effect:
    """Take up again the chunks of a FAILED job that are not done.

    Raises:
        Refused: it was cancelled, or what a retry would need has gone, or may go before it ends.
    """
    record = cloud.tracker.job(job)
    if record.state is not JobState.FAILED:
        return _not_failed(record)
    _refuse_collected(record)
    plan = chunk_plan(cloud, job, has_ended=True)
    _refuse_old(cloud, record)
    undone = _undone(cloud, record, plan)
    refuse_lost_unload(cloud, job, [chunk for chunk in plan.chunks if chunk.number in frozenset(undone)])
    chunks = settle_run(cloud, record, plan, undone)
    run = record.run + 1
    if not cloud.tracker.start_run(job, run=run, run_chunks=len(chunks)):
        # Another terminal was faster, or the reply to this one was lost: then nobody else sends.
        record = cloud.tracker.job(job)
        if record.run < run:
            _refuse_collected(record)
        if record.run != run or record.state is not JobState.RUNNING:
            return _not_failed(record)
    return _send(cloud, record, run, chunks, steps=steps)


def _send(cloud: Cloud, record: JobRecord, run: int, chunks: tuple[Chunk, ...], *, steps: Steps) -> Effect:
    started = record.model_copy(update={"run": run})
    if chunks:
        sent = send_chunks(cloud, started, chunks, positions=range(len(chunks)), steps=steps)
        sentence = f"Job {record.job} is RUNNING again: run {run} has {sent:,} of {record.chunks:,} chunks."
    else:
        sent = send_publish(cloud, started)
        sentence = f"Job {record.job} is PUBLISHING again, as run {run}: all its chunks are done."
    return sent_effect(cloud, record.job, run=run, sent=sent, sentence=sentence)


def _undone(cloud: Cloud, record: JobRecord, plan: ChunkPlan) -> tuple[int, ...]:
    """Give the chunks without a commit that is done; what a zombie commits after this does no harm."""
    numbers = [chunk.number for chunk in plan.chunks]
    done = [
        commit
        for commit in cloud.tracker.commits(record.job, numbers)
        if commit.outcome is CommitOutcome.DONE
    ]
    if len(done) < len(numbers):
        finished = {commit.chunk for commit in done}
        return tuple(number for number in numbers if number not in finished)
    # Then its publication has failed, perhaps for want of what was to be published.
    lost = lost_outputs(cloud, done)
    for commit in lost:
        cloud.tracker.revoke(commit, reason="Its stored output was deleted or altered.")
    return tuple(commit.chunk for commit in lost)


def _refuse_old(cloud: Cloud, record: JobRecord) -> None:
    """Refuse a job whose plan, spec, outputs or commits may expire before another run has ended.

    Their age is the plan's, by the clock of S3, which lets them expire.
    """
    days = cloud.tracker.retention_days
    for plan in cloud.store.list_objects(cloud.names.plan(record.job)):
        age_days = plan.age_seconds / DAY_SECONDS
        if age_days > days - RUN_DAYS:
            raise Refused(
                f"Job {record.job} is {age_days:.0f} days old, and what a retry needs of it expires after "
                f"{days} (SKFLEET_RETENTION_DAYS), perhaps before it would end; submit it again."
            )


def _refuse_collected(record: JobRecord) -> None:
    if record.collected_at is not None:
        raise Refused(
            f"Job {record.job} cannot be retried, because skfleet gc took its outputs; submit it again."
        )


def _not_failed(record: JobRecord) -> Effect:
    job = record.job
    if record.state is JobState.SUCCEEDED:
        return no_effect(record, f"Job {job} has succeeded; nothing is left to retry.")
    if record.state is JobState.CANCELLED:
        raise Refused(f"Job {job} was cancelled, which is for good; submit it again.")
    if record.state is JobState.FAILED:
        return no_effect(
            record, f"Job {job} was retried by somebody else and failed again, in run {record.run}."
        )
    return no_effect(
        record,
        f"Job {job} is {record.state} already, in run {record.run}; if it stands still: skfleet resume {job}",
    )
