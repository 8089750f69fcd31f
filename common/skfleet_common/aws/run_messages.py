"""Messages of a run, made anew from what was planned: a copy, or one that stands for what nobody can read."""

from __future__ import annotations

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.contracts.runs import RunPlan

FIRST_RUN = 1


class RunMessages:
    """The chunk messages of a job's present run."""

    def __init__(self, cloud: Cloud, record: JobRecord) -> None:
        self._record = record
        plan = ChunkPlan.from_json(cloud.store.get(cloud.names.plan(record.job)))
        self._chunks = {chunk.number: chunk for chunk in plan.chunks}
        if record.run == FIRST_RUN:
            self.numbers = tuple(self._chunks)
        else:
            raw = cloud.store.get(cloud.names.run_plan(record.job, record.run))
            self.numbers = RunPlan.from_json(raw).chunks
        self._positions = {number: position for position, number in enumerate(self.numbers)}

    def of(self, chunk: int) -> ChunkMessage | None:
        """Give the message of a chunk by its number; None if the run has no such chunk."""
        if chunk not in self._positions:
            return None
        return ChunkMessage(
            job=self._record.job,
            run=self._record.run,
            position=self._positions[chunk],
            run_chunks=self._record.run_chunks,
            chunk=self._chunks[chunk],
        )
