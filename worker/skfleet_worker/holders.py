"""Holders: which workers have a message of a chunk or publication in their hands, as they announce it.

It is a moment old, and nothing that counts is decided by it: at worst something is done later, or twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from skfleet_common.contracts.messages import ChunkMessage, PublishMessage
from skfleet_common.contracts.workers import WorkerPresence


class Holders:
    """How many deliveries of a message there are in the fleet's hands."""

    def __init__(self, workers: Sequence[WorkerPresence]) -> None:
        self._count = Counter(
            (holding.job, holding.run, holding.chunk) for worker in workers for holding in worker.holdings
        )

    def of(self, message: ChunkMessage | PublishMessage) -> int:
        """Give how many hold the message's chunk or publication, or a copy of it."""
        chunk = message.chunk.number if isinstance(message, ChunkMessage) else None
        return self._count[message.job, message.run, chunk]
