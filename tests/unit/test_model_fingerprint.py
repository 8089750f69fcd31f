"""The fingerprint of training rows tells rows apart, and nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.model.fingerprint import fingerprint

_ROWS = st.lists(st.tuples(st.none() | st.floats(), st.none() | st.text(max_size=5)), max_size=30)


def _of(rows: list[tuple[float | None, str | None]]) -> str:
    numbers = pa.array([number for number, _ in rows], pa.float64())
    return fingerprint([("n", numbers), ("t", pa.array([text for _, text in rows], pa.string()))])


@given(_ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(
    rows: list[tuple[float | None, str | None]], random: object
) -> None:
    shuffled = [rows[place] for place in np.random.default_rng(len(rows)).permutation(len(rows))]
    assert _of(shuffled) == _of(rows)


@given(_ROWS)
def test_one_row_more_makes_another_fingerprint(rows: list[tuple[float | None, str | None]]) -> None:
    assert _of([*rows, (1.0, "a")]) != _of(rows)


def test_values_that_change_places_make_another_fingerprint() -> None:
    assert _of([(1.0, "a"), (2.0, "b")]) != _of([(2.0, "a"), (1.0, "b")])
    assert _of([(None, "a")]) != _of([(0.0, "a")])
    assert _of([(1.0, None)]) != _of([(1.0, "")])


def test_the_fingerprint_stays_what_it_was() -> None:
    assert (
        _of([(1.5, "a"), (None, None)]) == "1875e86d048156e8cf1140e44f6f42dbf43775fc2c82b3d38b97cf902a1d43ed"
    )
