"""Runs of a job: how a FAILED one begins the next, and how clean-up rules that out.

::

    FAILED in run r ─┬─ start_run ─▶ RUNNING in run r+1       either, never both: one item, two conditions
                     └─ collect ───▶ FAILED for good
"""

from __future__ import annotations

from datetime import UTC, datetime

from skfleet_common.aws.tracker_jobs import no_such_job
from skfleet_common.aws.tracker_table import TTL_ATTRIBUTE, TrackerTable, job_key
from skfleet_common.contracts.states import JobState

RUN_FAILED = "#state = :failed AND #run = :before AND attribute_not_exists(#collected_at)"
STILL_FAILED = "#state = :failed AND #run = :run"


class Runs(TrackerTable):
    """The runs in the tracker."""

    def start_run(self, job_id: str, *, run: int, run_chunks: int) -> bool:
        """Begin run ``run`` over ``run_chunks`` chunks.

        False unless the run before it FAILED, and when clean-up has begun to remove what it would need.
        """
        standing = self.update_if(
            job_key(job_id),
            f"SET #state = :running, #run = :run, #run_chunks = :chunks, #run_started_at = :now, "
            f"#{TTL_ATTRIBUTE} = :expiry "
            "REMOVE #reason, #finished_at",
            RUN_FAILED,
            {
                ":expiry": self.expiry,
                ":running": JobState.RUNNING.value,
                ":failed": JobState.FAILED.value,
                ":run": run,
                ":before": run - 1,
                ":chunks": run_chunks,
                ":now": datetime.now(UTC).isoformat(),
            },
        )
        if standing == {}:
            raise no_such_job(job_id)
        return standing is None

    def collect(self, job_id: str, *, run: int, at: datetime) -> bool:
        """Rule out that a FAILED job is retried, before clean-up takes what a retry would need.

        False unless it FAILED in that run and still is; True again when it was ruled out before.
        """
        standing = self.update_if(
            job_key(job_id),
            "SET #collected_at = if_not_exists(#collected_at, :at)",
            STILL_FAILED,
            {":at": at.isoformat(), ":failed": JobState.FAILED.value, ":run": run},
        )
        return standing is None
