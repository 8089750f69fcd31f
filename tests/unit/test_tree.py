"""The arithmetic of the completion tree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.contracts.tree import FAN_IN, CompletionTree, Node

TREES = st.builds(CompletionTree, st.integers(1, 3_000), st.integers(2, 20))


def _levels(tree: CompletionTree) -> list[list[Node]]:
    levels = [tree.leaves()]
    while not tree.is_root(levels[-1][0]):
        above = len(levels)
        levels.append([Node(above, index) for index in range(tree.width(above))])
    return levels


@given(TREES)
def test_the_leaves_hold_every_position_once(tree: CompletionTree) -> None:
    held = [tree.leaf_of(position) for position in range(tree.positions)]
    assert held == [(leaf, member) for leaf in tree.leaves() for member in range(tree.size(leaf))]


@given(TREES)
def test_every_node_holds_each_node_below_once(tree: CompletionTree) -> None:
    for below, nodes in zip(_levels(tree), _levels(tree)[1:], strict=False):
        held = [tree.parent_of(node) for node in below]
        assert held == [(parent, member) for parent in nodes for member in range(tree.size(parent))]


@given(TREES)
def test_every_climb_ends_at_the_one_root(tree: CompletionTree) -> None:
    top = _levels(tree)[-1]
    assert len(top) == 1
    assert tree.parent_of(top[0]) is None
    for position in range(0, tree.positions, max(1, tree.positions // 50)):
        node, _ = tree.leaf_of(position)
        while (above := tree.parent_of(node)) is not None:
            node = above[0]
        assert node == top[0]


@given(TREES)
def test_no_node_holds_more_than_the_fan_in_or_nothing(tree: CompletionTree) -> None:
    assert all(1 <= tree.size(node) <= tree.fan_in for level in _levels(tree) for node in level)


def test_a_job_of_up_to_the_fan_in_has_one_node() -> None:
    assert CompletionTree(1).is_root(Node(0, 0))
    assert CompletionTree(FAN_IN).is_root(Node(0, 0))
    assert not CompletionTree(FAN_IN + 1).is_root(Node(0, 0))


def test_eight_million_chunks_take_three_levels() -> None:
    tree = CompletionTree(FAN_IN**3)
    assert tree.width(0) == FAN_IN**2
    assert tree.is_root(Node(2, 0))
