"""Leftovers: which objects of a job nobody needs any more. Pure: what is known goes in, a reason comes out.

| the job is | what may go | when |
| ---------- | ----------- | ---- |
| not ended | nothing | |
| SUCCEEDED | outputs and rejects of attempts that lost, lists of what to load | at once |
| SUCCEEDED | committed outputs, which are published | when they are old |
| CANCELLED | outputs, rejects and lists | at once |
| FAILED | outputs, rejects and lists | when all is old, and a retry is ruled out |
| not known | everything | when all is a day old |

Spec, plans, certificate, shift and the rejects of a published job stay until they expire with its records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from skfleet_common.aws.store import StoredObject
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobRecord
from skfleet_common.contracts.states import JobState

#: What an attempt wrote, below its job's prefix, as ``contracts/names.py`` puts it.
_OF_ATTEMPT = re.compile(r"(?:out|rejects)/(\d+)/[^/]+\.parquet")

#: What an attempt to publish tells the warehouse to load; gone with the attempt, unless that died.
_OF_PUBLISHING = re.compile(r"load/[^/]+")

#: A producer writes plan and spec, then the job's record: none takes a day for that.
UNKNOWN_SECONDS = 86_400.0


class Why(StrEnum):
    """Why an object may go."""

    LOST = "lost"
    PUBLISHED = "published"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Folder:
    """A job's prefix, and what the tracker says of the job; None if it knows no such job."""

    prefix: str
    record: JobRecord | None

    @property
    def state(self) -> JobState | None:
        """Where the job stands."""
        return None if self.record is None else self.record.state

    def chunk_of(self, key: str) -> int | None:
        """Give the chunk that an attempt's object belongs to; None if an attempt wrote no such object."""
        found = _OF_ATTEMPT.fullmatch(key.removeprefix(self.prefix))
        return None if found is None else int(found[1])

    def is_of_publishing(self, key: str) -> bool:
        """Whether it is what a publisher that died has left."""
        return _OF_PUBLISHING.fullmatch(key.removeprefix(self.prefix)) is not None

    def is_due(self, objects: Iterable[StoredObject], *, old_seconds: float) -> bool:
        """Whether a job that FAILED, or that nobody knows, has leftovers, and all it has is old.

        Ages are by S3's clock. When the job FAILED is by a worker's, and can only put the removal off: the
        last object of a job may be much older than its failure.
        """
        least = UNKNOWN_SECONDS if self.record is None else old_seconds
        failed_at = None if self.record is None else self.record.finished_at
        has_leftovers = False
        for found in objects:
            since_failure = found.age_seconds
            if failed_at is not None:
                listed_at = found.modified_at + timedelta(seconds=found.age_seconds)
                since_failure = (listed_at - failed_at).total_seconds()
            if min(found.age_seconds, since_failure) < least:
                return False
            has_leftovers = has_leftovers or self.record is None or self._may_go(found.key)
        return has_leftovers

    def why(self, found: StoredObject, commit: Commit | None, *, old_seconds: float) -> Why | None:
        """Say why an object may go, given the commit of its chunk; None if it stays.

        Of a job that FAILED or is not known, only once :meth:`is_due` has said so.
        """
        if self.state is None:
            return Why.UNKNOWN
        if not self.state.is_terminal or not self._may_go(found.key):
            return None
        if self.state is JobState.SUCCEEDED:
            if self.is_of_publishing(found.key):
                return Why.LOST
            return _why_of_success(found, commit, old_seconds=old_seconds)
        return Why.CANCELLED if self.state is JobState.CANCELLED else Why.FAILED

    def _may_go(self, key: str) -> bool:
        return self.chunk_of(key) is not None or self.is_of_publishing(key)


def _why_of_success(found: StoredObject, commit: Commit | None, *, old_seconds: float) -> Why | None:
    # Without the commit nobody can tell; it may have expired before the job's record did.
    if commit is None or commit.outcome is not CommitOutcome.DONE or found.key == commit.rejects_key:
        return None
    if found.key != commit.output_key:
        return Why.LOST
    return Why.PUBLISHED if found.age_seconds >= old_seconds else None
