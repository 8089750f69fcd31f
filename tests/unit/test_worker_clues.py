"""Clues: what can still be told of a message that nobody can read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_worker.clues import Clue, clue_in

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
bodies = st.dictionaries(
    st.sampled_from(["job", "run", "chunk", "kind", "schema_version"]),
    anything | st.just("job-1") | st.fixed_dictionaries({"number": anything}),
)


@given(body=st.text() | bodies.map(json.dumps) | anything.map(json.dumps))
def test_no_body_is_too_strange(body: str) -> None:
    clue = clue_in(body)
    if clue is not None:
        assert set(clue.job) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert clue.run is None or clue.run >= 1
        assert clue.chunk is None or clue.chunk >= 0


@pytest.mark.parametrize(
    ("body", "clue"),
    [
        ({"job": "j-1", "run": 2, "chunk": {"number": 7}}, Clue("j-1", 2, 7)),
        ({"job": "j-1", "run": 2, "chunk": 7, "kind": "?"}, Clue("j-1", 2, 7)),
        ({"job": "j-1", "run": 0, "chunk": {"number": -1}}, Clue("j-1")),
        ({"job": "j-1", "run": True, "chunk": {"number": "7"}}, Clue("j-1")),
        ({"job": "j-1", "run": 1, "kind": "publish"}, Clue("j-1", 1, is_publish=True)),
        ({"job": "../j", "run": 1, "chunk": {"number": 7}}, None),
        ({"run": 1, "chunk": {"number": 7}}, None),
    ],
)
def test_what_is_sound_is_kept_and_the_rest_is_not(body: dict[str, object], clue: Clue | None) -> None:
    assert clue_in(json.dumps(body)) == clue


def test_a_body_that_nests_too_deep_names_nothing() -> None:
    assert clue_in("[" * 200_000) is None
