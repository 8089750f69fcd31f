"""Job states, and the legal moves between them, in one table."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    SUBMITTING = "SUBMITTING"
    RUNNING = "RUNNING"
    PUBLISHING = "PUBLISHING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        """Whether no worker will do anything more for the job."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


#: From a state, the states that a job may move to. Workers may outrun the producer, so
#: SUBMITTING may be followed by PUBLISHING; FAILED is left only by a new run. A job is cancelled while
#: PUBLISHING only after the warehouse's ledger has ruled out that its run publishes.
LEGAL_MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.SUBMITTING: frozenset(
        {JobState.RUNNING, JobState.PUBLISHING, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.RUNNING: frozenset({JobState.PUBLISHING, JobState.FAILED, JobState.CANCELLED}),
    JobState.PUBLISHING: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({JobState.RUNNING}),
    JobState.CANCELLED: frozenset(),
}


def states_before(state: JobState) -> frozenset[JobState]:
    """Give the states from which a job may move to ``state``."""
    return frozenset(before for before, after in LEGAL_MOVES.items() if state in after)
