"""Class labels of any kind become column names that no SQL client needs to quote."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.model.output_names import MAX_NAME_BYTES, probability_columns

_LABELS = st.lists(st.text(), unique=True, max_size=20) | st.lists(st.integers(), unique=True, max_size=20)


@given(_LABELS)
def test_every_class_gets_a_valid_name_of_its_own(labels: list[str | int]) -> None:
    names = probability_columns(labels)
    assert len(set(names)) == len(names) == len(labels)
    assert all(re.fullmatch(r"proba_[a-z0-9_]+", name) and len(name) <= MAX_NAME_BYTES for name in names)


@given(_LABELS)
def test_the_same_classes_always_get_the_same_names(labels: list[str | int]) -> None:
    assert probability_columns(labels) == probability_columns(list(labels))


@given(st.lists(st.integers(), unique=True, max_size=20), st.integers())
def test_an_integer_class_is_named_by_its_number_alone(labels: list[int], label: int) -> None:
    expected = f"proba_{label}" if label >= 0 else f"proba_minus_{-label}"
    others = [other for other in labels if other != label]
    assert probability_columns([*others, label])[-1] == expected[:MAX_NAME_BYTES]


def test_booleans_are_named_false_and_true() -> None:
    assert probability_columns([False, True]) == ["proba_false", "proba_true"]


def test_odd_labels_are_told_apart() -> None:
    assert probability_columns(["c", "C++", "C#", "Été", "東京", "", "c_2"]) == [
        "proba_c",
        "proba_c_2",
        "proba_c_3",
        "proba_ete",
        "proba_class_5",
        "proba_class_6",
        "proba_c_2_2",
    ]


def test_long_labels_that_differ_at_their_end_are_told_apart() -> None:
    names = probability_columns(["x" * 80 + "a", "x" * 80 + "b"])
    assert len(set(names)) == 2
    assert all(len(name) == MAX_NAME_BYTES for name in names)
