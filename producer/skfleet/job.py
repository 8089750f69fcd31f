"""A job as its user sees it: status, progress and waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from skfleet.cancellation import cancel
from skfleet.effect import Effect
from skfleet.progress import Silent, Steps
from skfleet.resume import resume
from skfleet.retry import retry
from skfleet.runs import chunk_plan
from skfleet.status import JobStatus, certificate_of, look
from skfleet.waiting import Waiting
from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.certificates import Certificate
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from skfleet_common.tables.port import Publisher

DEFAULT_STALL_SECONDS: float = Settings().stall_seconds


class Job:
    """A submitted job. Any process that talks to the same fleet can get it by its id."""

    def __init__(
        self,
        record: JobRecord,
        cloud: Cloud,
        *,
        stall_seconds: float = DEFAULT_STALL_SECONDS,
        open_publisher: Callable[[], Publisher] | None = None,
    ) -> None:
        self._record = record
        self._cloud = cloud
        self._stall_seconds = stall_seconds
        self._open_publisher = open_publisher
        self._plan: ChunkPlan | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self._record.job

    @property
    def record(self) -> JobRecord:
        """What the tracker said of the job when this object was made."""
        return self._record

    def __repr__(self) -> str:
        """Give the id and the output table."""
        return f"Job({self.id!r}, output_table={str(self._record.output_table)!r})"

    def status(self) -> JobStatus:
        """Look where the job stands now.

        Raises:
            Refused: it has not ended, and its plan is gone.
        """
        return look(self._cloud, self.id, plan_of=self._chunk_plan, stall_seconds=self._stall_seconds)

    def certificate(self) -> Certificate | None:
        """Give what the job is known to have done; None before it SUCCEEDED."""
        return certificate_of(self._cloud, self._cloud.tracker.job(self.id))

    def rejects(self) -> pa.Table:
        """Give the rows that were rejected so far: their ids as text, the ``reason``, and ``quarantined``.

        Each row once, however often its chunk was tried.

        Raises:
            Refused: clean-up has removed them.
        """
        from skfleet.rejects import rejects_of  # noqa: PLC0415  (pyarrow: most commands need not wait for it)

        return rejects_of(self._cloud, self.id)

    def wait(
        self,
        timeout_seconds: float | None = None,
        *,
        steps: Steps | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> JobStatus:
        """Wait until the job has ended, and give its last status.

        A fault that passes, such as a restart of the fleet's services, does not end the wait.

        Raises:
            JobFailed: it ended without publishing; the sentence says why.
            WaitTimedOut: it goes on, but ``timeout_seconds`` have passed.
        """
        waiting = Waiting(self._record, self.status, steps or Silent(), timeout_seconds, clock, sleep)
        return waiting.until_ended()

    def cancel(self) -> Effect:
        """End the job; its output table stays as it is. An ended job stays as it ended.

        Raises:
            Refused: it has published, so it succeeds.
        """
        if self._open_publisher is None:
            raise UsageError("This job knows no warehouse; get it from a fleet, with fleet.job(...).")
        return cancel(self._cloud, self.id, open_publisher=self._open_publisher)

    def retry(self, *, steps: Steps | None = None) -> Effect:
        """Take the chunks of a FAILED job that are not done up again, in a new run.

        Raises:
            Refused: it was cancelled, is too old, or clean-up has removed its outputs.
        """
        return retry(self._cloud, self.id, steps=steps or Silent())

    def resume(self, *, steps: Steps | None = None) -> Effect:
        """Send again what the job waits for: its producer died while sending, or the queue was purged.

        Raises:
            Refused: it FAILED; that is for :meth:`retry`.
        """
        return resume(self._cloud, self.id, steps=steps or Silent())

    def _chunk_plan(self) -> ChunkPlan:
        if self._plan is None:
            self._plan = chunk_plan(self._cloud, self.id)
        return self._plan


def find_job(
    cloud: Cloud,
    job: str,
    *,
    stall_seconds: float = DEFAULT_STALL_SECONDS,
    open_publisher: Callable[[], Publisher] | None = None,
) -> Job:
    """Give a job by its id.

    Raises:
        NoSuchJob: there is none.
    """
    return Job(cloud.tracker.job(job), cloud, stall_seconds=stall_seconds, open_publisher=open_publisher)


def newest_jobs(
    cloud: Cloud, limit: int, *, open_publisher: Callable[[], Publisher] | None = None
) -> list[Job]:
    """Give the newest jobs, newest first."""
    return [Job(record, cloud, open_publisher=open_publisher) for record in cloud.tracker.jobs(limit)]
