"""Work: a lease, what is to be done under it, and how far that is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.contracts.workers import Holding
from skfleet_worker.lease import Lease
from skfleet_worker.protocol import Assignment


@dataclass(eq=False)
class Work:
    """One delivery on its way through a worker."""

    lease: Lease
    assignment: Assignment
    #: When a scorer was given it.
    began_at: float | None = None
    rows_read: int = 0
    #: The kernel's count of out-of-memory kills at that time, where it tells.
    oom_kills: int | None = None

    @property
    def name(self) -> str:
        """How presence names it to people."""
        message = self.assignment.message
        part = f"chunk {message.chunk.number}" if isinstance(message, ChunkMessage) else message.kind
        return f"{message.job} {part}"

    @property
    def fields(self) -> dict[str, str | int]:
        """What every log event about it says."""
        message = self.assignment.message
        fields: dict[str, str | int] = {"job": message.job, "run": message.run}
        if isinstance(message, ChunkMessage):
            fields["chunk"] = message.chunk.number
        return fields | {"received": self.assignment.receive_count}

    def begin(self, now: float, *, oom_kills: int | None) -> None:
        """A scorer has it from now on."""
        self.began_at = self.lease.progress_at = now
        self.rows_read = 0
        self.oom_kills = oom_kills

    def pause(self) -> None:
        """No scorer has it any more, so none can be stuck with it."""
        self.began_at = self.lease.progress_at = None

    def progress(self, now: float, *, rows: int) -> None:
        """Its scorer has said how far it is."""
        self.lease.progress_at = now
        self.rows_read = rows

    def holding(self, now: float) -> Holding:
        """Give what presence tells programs."""
        message = self.assignment.message
        since = self.lease.received_at if self.began_at is None else self.began_at
        return Holding(
            job=message.job,
            run=message.run,
            chunk=message.chunk.number if isinstance(message, ChunkMessage) else None,
            attempts=self.assignment.attempts,
            rows_read=self.rows_read,
            seconds=round(max(0.0, now - since), 1),
        )

    def give_up(self, reason: str) -> None:
        """What is left to do is to record that it failed for good."""
        self.assignment = replace(self.assignment, give_up_because=reason)

    def shrink(self, batch_rows: int, *, trouble: str | None = None) -> None:
        """It is to be done in batches of ``batch_rows``."""
        self.assignment = replace(
            self.assignment, batch_rows=batch_rows, trouble=trouble or self.assignment.trouble
        )
