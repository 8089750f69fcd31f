"""Runs: which chunks a run of a job has, in the order of their positions in its completion tree."""

from __future__ import annotations

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.chunks import Chunk, ChunkPlan
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.runs import RunPlan

FIRST_RUN = 1


class PlanLost(Refused):
    """What a job's plan said is gone. The user submits the job again, after a cancel if it has not ended."""


def chunk_plan(cloud: Cloud, job: str, *, has_ended: bool = False) -> ChunkPlan:
    """Give all chunks of a job.

    Raises:
        PlanLost: the plan is gone.
    """
    return ChunkPlan.from_json(_stored(cloud, cloud.names.plan(job), job, has_ended=has_ended))


def chunks_of_run(cloud: Cloud, record: JobRecord, plan: ChunkPlan) -> tuple[Chunk, ...]:
    """Give the chunks of a job's present run; the first run has them all.

    Raises:
        PlanLost: the run's plan is gone.
    """
    if record.run == FIRST_RUN:
        return plan.chunks
    key = cloud.names.run_plan(record.job, record.run)
    raw = _stored(cloud, key, record.job, has_ended=record.state.is_terminal)
    return chosen(plan, RunPlan.from_json(raw))


def settle_run(
    cloud: Cloud, record: JobRecord, plan: ChunkPlan, undone: tuple[int, ...]
) -> tuple[Chunk, ...]:
    """Write down the chunks of a job's next run, or give those that somebody wrote before."""
    key = cloud.names.run_plan(record.job, record.run + 1)
    run_plan = RunPlan(job=record.job, run=record.run + 1, chunks=undone)
    if not cloud.store.put_new(key, run_plan.to_json()):
        run_plan = RunPlan.from_json(_stored(cloud, key, record.job, has_ended=True))
    return chosen(plan, run_plan)


def chosen(plan: ChunkPlan, run_plan: RunPlan) -> tuple[Chunk, ...]:
    """Give the chunks that a run's plan names."""
    by_number = {chunk.number: chunk for chunk in plan.chunks}
    return tuple(by_number[number] for number in run_plan.chunks)


def _stored(cloud: Cloud, key: str, job: str, *, has_ended: bool) -> bytes:
    try:
        return cloud.store.get(key)
    except NoSuchObject as exc:
        remedy = "submit it again" if has_ended else f"end it with skfleet cancel {job}, and submit it again"
        raise PlanLost(
            f"Job {job} has lost its plan {key}, so nobody can say what is left to do; {remedy}."
        ) from exc
