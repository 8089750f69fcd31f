"""The arithmetic of the completion tree.

The chunks of a run are the positions ``0 .. n-1``. Level 0 of the tree holds its leaves: leaf ``i``
holds the positions ``[i * F, (i + 1) * F)``. A node of level ``k`` holds up to F nodes of level
``k - 1``. Nothing is seeded or counted: what a node should hold follows from n alone.
"""

from __future__ import annotations

from dataclasses import dataclass

#: 200 small numbers keep a node below 1 KB, which is one write unit (DynamoDB read/write units).
FAN_IN = 200


@dataclass(frozen=True)
class Node:
    """One node of the tree; level 0 is the leaves."""

    level: int
    index: int


@dataclass(frozen=True)
class CompletionTree:
    """The tree over ``positions`` chunks (at least one)."""

    positions: int
    fan_in: int = FAN_IN

    def leaf_of(self, position: int) -> tuple[Node, int]:
        """Give the leaf that holds a position, and the member number it has there."""
        return Node(0, position // self.fan_in), position % self.fan_in

    def parent_of(self, node: Node) -> tuple[Node, int] | None:
        """Give the node above and the member number of ``node`` there; None above the root."""
        if self.is_root(node):
            return None
        return Node(node.level + 1, node.index // self.fan_in), node.index % self.fan_in

    def is_root(self, node: Node) -> bool:
        """Whether the node's level has no other node."""
        return self.width(node.level) == 1

    def width(self, level: int) -> int:
        """Give the number of nodes of a level."""
        count = self.positions
        for _ in range(level + 1):
            count = -(-count // self.fan_in)
        return count

    def size(self, node: Node) -> int:
        """Give how many members a node holds once everything below it is done."""
        below = self.positions if node.level == 0 else self.width(node.level - 1)
        return min(self.fan_in, below - node.index * self.fan_in)

    def leaves(self) -> list[Node]:
        """Give all leaves."""
        return [Node(0, index) for index in range(self.width(0))]
