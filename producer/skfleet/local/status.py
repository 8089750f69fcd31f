"""What the stack's status says, to programs and to people."""

from __future__ import annotations

from enum import StrEnum

from skfleet_common.contracts.shapes import Shape

#: Name and version of the status in JSON.
STATUS_SCHEMA = "skfleet.local-status/1"


class WorkerState(StrEnum):
    """Where a worker stands."""

    RUNNING = "running"
    DEAD = "dead"


class WorkerStatus(Shape):
    """One worker process and its scoring processes, as the operating system sees them now."""

    #: Names its log, ``logs/<worker>.log``.
    worker: str
    supervisor_pid: int
    scorer_pids: tuple[int, ...]
    state: WorkerState

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs."""
        return self.state is WorkerState.RUNNING


class StackStatus(Shape):
    """The stack as a whole. Addresses are None where the part has never been started."""

    running: bool
    state_dir: str
    fleet: str | None = None
    region: str | None = None
    bucket: str | None = None
    postgres_dsn: str | None = None
    aws_endpoint_url: str | None = None
    workers: tuple[WorkerStatus, ...] = ()
    #: What a person should know, one sentence each.
    notices: tuple[str, ...] = ()

    @property
    def has_parts(self) -> bool:
        """Whether anything was started here and not taken down, alive or not."""
        return self.running or bool(self.workers) or bool(self.notices)
