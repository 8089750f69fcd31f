"""The completion tree of a run: sets of members, added to and never counted.

::

    commit stands ─▶ ADD position to its leaf ─ full? ─▶ ADD leaf to its parent ─ full? ─▶ … ─▶ root
                      (ALL_NEW: the set)        no: stop

Adding to a set twice changes nothing, so the climb may be repeated from its start at any time, by anybody:
a crash between two steps heals when the message is delivered again. Full follows from the number of
chunks; nothing is seeded. A member that failed, or has one that did, is added to ``failed`` in the same
write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from skfleet_common.aws.faults import cloud_faults
from skfleet_common.aws.tracker_table import (
    ITEM_VERSION,
    TTL_ATTRIBUTE,
    Item,
    TrackerTable,
    attribute_names,
    from_item,
    node_key,
    to_item,
)
from skfleet_common.contracts.errors import TryAgain
from skfleet_common.contracts.tree import CompletionTree, Node
from skfleet_common.retry import cloud_calls

#: ``at`` is when the last member came, by its worker's clock: people are told, no condition reads it.
ADD_DONE = f"SET #v = :v, #at = :at, #{TTL_ATTRIBUTE} = :expiry ADD #done :member"
ADD_FAILED = f"{ADD_DONE}, #failed :member"

#: BatchGetItem takes a hundred keys (DynamoDB quotas page).
MAX_BATCH_KEYS = 100


@dataclass(frozen=True)
class NodeState:
    """A node right after a member was added to it."""

    node: Node
    is_root: bool
    full: bool
    failed: bool


@dataclass(frozen=True)
class RootState:
    """The root after a climb that reached it: whether every chunk has its commit, and whether any failed."""

    full: bool
    failed: bool


@dataclass(frozen=True)
class Progress:
    """The positions of a run that have their commit; ``failed`` are among ``done``."""

    done: frozenset[int]
    failed: frozenset[int]
    #: When the last of them came, by its worker's clock: for display. None before the first. A climb that
    #: is repeated counts here, and changes nothing else.
    last_at: datetime | None = field(default=None, compare=False)


class TreeNodes(TrackerTable):
    """The completion trees in the tracker."""

    def climb(self, job: str, run: int, position: int, run_chunks: int, *, failed: bool) -> RootState | None:
        """Record that a position has its commit, up to the first node that is not full.

        Gives the root's state if the climb reached it. One write for each level climbed, so one in
        the usual case.
        """
        *_, last = self.climb_steps(job, run, position, run_chunks, failed=failed)
        return RootState(last.full, last.failed) if last.is_root else None

    def climb_steps(
        self, job: str, run: int, position: int, run_chunks: int, *, failed: bool
    ) -> Iterator[NodeState]:
        """Climb one write at a time; each step gives the node that it added to."""
        tree = CompletionTree(run_chunks, self.fan_in)
        above: tuple[Node, int] | None = tree.leaf_of(position)
        while above is not None:
            node, member = above
            done, failures = self._add(node_key(job, run, node), member, failed=failed)
            failed = bool(failures)
            full = len(done) == tree.size(node)
            yield NodeState(node, tree.is_root(node), full, failed)
            above = tree.parent_of(node) if full else None

    def progress(self, job: str, run: int, run_chunks: int) -> Progress:
        """Give the positions that are done: one request for each 20,000 chunks."""
        leaves = CompletionTree(run_chunks, self.fan_in).leaves()
        done: set[int] = set()
        failed: set[int] = set()
        last_at: datetime | None = None
        for first in range(0, len(leaves), MAX_BATCH_KEYS):
            keys = {
                str(key["pk"]["S"]): (leaf, key)
                for leaf in leaves[first : first + MAX_BATCH_KEYS]
                for key in [node_key(job, run, leaf)]
            }
            for item in self._get_batch([key for _, key in keys.values()]):
                leaf = keys[item["pk"]["S"]][0]
                done.update(leaf.index * self.fan_in + member for member in _members(item, "done"))
                failed.update(leaf.index * self.fan_in + member for member in _members(item, "failed"))
                last_at = max(filter(None, (last_at, _moment(item))), default=None)
        return Progress(frozenset(done), frozenset(failed), last_at)

    def _add(self, key: Item, member: int, *, failed: bool) -> tuple[frozenset[int], frozenset[int]]:
        """Add a member to a node; give the node's sets after that."""
        update = ADD_FAILED if failed else ADD_DONE
        with cloud_faults(self.target):
            answer = self.client.update_item(
                TableName=self.name,
                Key=key,
                UpdateExpression=update,
                ExpressionAttributeNames=attribute_names(update),
                ExpressionAttributeValues=to_item(
                    {
                        ":v": ITEM_VERSION,
                        ":at": datetime.now(UTC).isoformat(),
                        ":member": {member},
                        ":expiry": self.expiry,
                    }
                ),
                ReturnValues="ALL_NEW",
            )
        return _members(answer["Attributes"], "done"), _members(answer["Attributes"], "failed")

    def _get_batch(self, keys: list[Item]) -> list[Item]:
        """Give the items that exist, asking again for keys that DynamoDB left unprocessed."""
        found: list[Item] = []
        left = keys
        for attempt in cloud_calls():
            with attempt:
                with cloud_faults(self.target):
                    answer = self.client.batch_get_item(
                        RequestItems={self.name: {"Keys": left, "ConsistentRead": True}}
                    )
                found += answer["Responses"].get(self.name, [])
                unread = answer["UnprocessedKeys"].get(self.name)
                left = list(unread["Keys"]) if unread else []
                if left:
                    raise TryAgain(f"The {self.target} did not read {len(left)} keys; try again.")
        return found


def _members(item: Item, name: str) -> frozenset[int]:
    """Give one of a node's sets; a set that nothing was added to is not stored."""
    return (
        frozenset(int(member) for member in from_item({name: item[name]})[name])
        if name in item
        else frozenset()
    )


def _moment(item: Item) -> datetime | None:
    """Give when a node's last member came; nodes of the first release do not say."""
    return datetime.fromisoformat(item["at"]["S"]) if "at" in item else None
