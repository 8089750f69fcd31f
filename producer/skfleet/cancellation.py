"""Cancellation: one conditional write ends a job; its messages are moot from then on.

::

    SUBMITTING, RUNNING ──────────────────────────────────▶ CANCELLED
    PUBLISHING ─ ledger: has it published? ─ no, and never ─▶ CANCELLED
                                           └ yes ─▶ it succeeds: refused
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from skfleet.effect import Effect, no_effect
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.unloads import remove_unload
from skfleet_common.contracts.errors import Refused, SkfleetError, TryAgain
from skfleet_common.contracts.file_sources import FilesOutput
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState
from skfleet_common.retry import warehouse_calls

if TYPE_CHECKING:
    from skfleet_common.tables.port import Publisher

#: Each look after the first means that the job moved on meanwhile, which it cannot do often.
LOOKS = 10

#: Where a job has no effect yet, whatever its workers are doing.
UNPUBLISHED = frozenset({JobState.SUBMITTING, JobState.RUNNING})

REASON = "Cancelled by skfleet cancel."


def cancel(cloud: Cloud, job: str, *, open_publisher: Callable[[], Publisher]) -> Effect:
    """Cancel a job, unless it has ended.

    Raises:
        Refused: it has published, or its publication cannot be ruled out.
    """
    for _ in range(LOOKS):
        record = cloud.tracker.job(job)
        if record.state is JobState.SUCCEEDED:
            raise Refused(
                f"Job {job} has succeeded, and {record.output_table} is published; nothing was cancelled."
            )
        if record.state is JobState.FAILED:
            return no_effect(
                record,
                f"Job {job} is FAILED already, and stays so unless somebody retries it; nothing is left to "
                "cancel.",
            )
        if record.state.is_terminal:
            return no_effect(record, f"Job {job} is {record.state} already; nothing is left to cancel.")
        if record.state is JobState.PUBLISHING:
            _rule_out(record, _publisher(cloud, record) or open_publisher())
            only_from = frozenset({JobState.PUBLISHING})
        else:
            only_from = UNPUBLISHED
        if cloud.tracker.move(
            job,
            JobState.CANCELLED,
            run=record.run,
            reason=REASON,
            finished_at=datetime.now(UTC),
            only_from=only_from,
        ):
            # What is left then, clean-up finds.
            with suppress(SkfleetError):
                remove_unload(cloud, job)
            return Effect(
                job=job,
                state=JobState.CANCELLED,
                run=record.run,
                changed=True,
                sentence=f"Job {job} is cancelled; {record.output_table} stays as it is.",
            )
    raise TryAgain(f"Job {job} keeps changing while it is being cancelled; try again.")


def _publisher(cloud: Cloud, record: JobRecord) -> Publisher | None:
    """Give who publishes a job to files; None where it is the warehouse."""
    output = record.output_table
    if not output.is_address:
        return None
    from skfleet_common.files.publisher import FilesPublisher  # noqa: PLC0415  (pyarrow: few need it)

    return FilesPublisher(cloud.store, cloud.names, FilesOutput(uri=output.name))


def _rule_out(record: JobRecord, publisher: Publisher) -> None:
    """Let the warehouse's ledger say that the job's run never publishes."""
    ruled_out = False
    for attempt in warehouse_calls():
        with attempt:
            ruled_out = publisher.abandon(record.output_table, job=record.job, run=record.run)
    if not ruled_out:
        raise Refused(
            f"Job {record.job} has published {record.output_table} already, so it succeeds; "
            "nothing was cancelled."
        )
