"""Work: a lease, and what is to be done under it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from skfleet_common.contracts.messages import ChunkMessage
from skfleet_worker.lease import Lease
from skfleet_worker.protocol import Assignment


@dataclass(frozen=True)
class Work:
    """One delivery on its way through a worker."""

    lease: Lease
    assignment: Assignment

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

    def giving_up(self, reason: str) -> Work:
        """Give the work of recording that it failed for good."""
        return replace(self, assignment=replace(self.assignment, give_up_because=reason))
