"""Commits: the one conditional write that makes an attempt's output the chunk's output.

::

    attempt A ─ put object ─ commit ✔ ─ climb ─ ack
    attempt B ─ put object ─ commit ✘ (A's stands) ─ climb ─ ack        same chunk, doubled delivery

    run 1:   commit failed ✔ ──────────────────────────┐
    run 2:            retry ─ commit done ✔ (replaces) │
    run 1's zombie:                        commit ✘ ◀──┘ (an earlier run replaces nothing)

Within a run the first attempt wins. What is done is never replaced; what failed, by a later run only. What
was done is revoked when its output is gone from the store: it has failed then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from skfleet_common.aws.faults import cloud_faults
from skfleet_common.aws.tracker_table import (
    BLOCK_CHUNKS,
    TTL_ATTRIBUTE,
    Item,
    TrackerTable,
    block_pk,
    commit_sk,
    shape_item,
    shape_of,
    to_item,
)
from skfleet_common.contracts.jobs import Commit, CommitOutcome

FIRST_ATTEMPT = "attribute_not_exists(#pk)"
FAILED_EARLIER = "#outcome = :failed AND #run < :run"
STILL_DONE = "#outcome = :done AND #attempt = :attempt"
MAY_COMMIT = f"{FIRST_ATTEMPT} OR ({FAILED_EARLIER})"

#: One write unit (DynamoDB read/write units page).
MAX_COMMIT_BYTES = 1024
#: Of these, what the item's expiry takes.
EXPIRY_BYTES = len(TTL_ATTRIBUTE) + 21


class Commits(TrackerTable):
    """The commits in the tracker."""

    def commit(self, commit: Commit) -> Commit:
        """Commit an attempt and give the commit that stands: this one, if its ``attempt`` is the same.

        A reason that would make the item larger than one write unit is cut.
        """
        fitting = _fitting(commit)
        standing = self.put_if(
            _item(fitting) | to_item({TTL_ATTRIBUTE: self.expiry}),
            MAY_COMMIT,
            {":failed": CommitOutcome.FAILED.value, ":run": commit.run},
        )
        return fitting if standing is None else shape_of(Commit, standing)

    def revoke(self, commit: Commit, *, reason: str) -> None:
        """Let a chunk that was done have failed, for a later run; nothing happens unless it stands so."""
        failed = Commit(
            job=commit.job,
            run=commit.run,
            chunk=commit.chunk,
            outcome=CommitOutcome.FAILED,
            attempt=commit.attempt,
            worker=commit.worker,
            attempts=commit.attempts,
            reason=reason,
        )
        self.put_if(
            _item(failed) | to_item({TTL_ATTRIBUTE: self.expiry}),
            STILL_DONE,
            {":done": CommitOutcome.DONE.value, ":attempt": commit.attempt},
        )

    def commits(self, job: str, chunk_numbers: Iterable[int]) -> list[Commit]:
        """Give the commits of these chunks, in chunk order; a chunk without one is left out."""
        wanted: dict[int, set[int]] = defaultdict(set)
        for chunk in chunk_numbers:
            wanted[chunk // BLOCK_CHUNKS].add(chunk)
        return [
            commit
            for block in sorted(wanted)
            for commit in self._block(job, block, first=min(wanted[block]), last=max(wanted[block]))
            if commit.chunk in wanted[block]
        ]

    def _block(self, job: str, block: int, *, first: int, last: int) -> list[Commit]:
        with cloud_faults(self.target):
            pages = self.client.get_paginator("query").paginate(
                TableName=self.name,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                ExpressionAttributeValues=to_item(
                    {":pk": block_pk(job, block), ":first": commit_sk(first), ":last": commit_sk(last)}
                ),
                ConsistentRead=True,
            )
            return [shape_of(Commit, item) for page in pages for item in page["Items"]]


def _fitting(commit: Commit) -> Commit:
    """Give the commit with its reason cut so that the item costs one write unit."""
    excess = item_bytes(_item(commit)) + EXPIRY_BYTES - MAX_COMMIT_BYTES
    if excess <= 0 or commit.reason is None:
        return commit
    kept = max(0, len(commit.reason.encode()) - excess - len("…".encode()))
    cut = commit.reason.encode()[:kept].decode(errors="ignore")
    return commit.model_copy(update={"reason": cut + "…"})


def _item(commit: Commit) -> Item:
    keys = to_item({"pk": block_pk(commit.job, commit.chunk // BLOCK_CHUNKS), "sk": commit_sk(commit.chunk)})
    return shape_item(commit) | keys


def item_bytes(item: Item) -> int:
    """Give the size that DynamoDB bills, from above: names and text in UTF-8, 21 bytes a number."""
    return sum(
        len(name.encode()) + (len(value["S"].encode()) if "S" in value else 21)
        for name, value in item.items()
    )
