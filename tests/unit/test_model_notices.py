"""What training sees in a column is said with its reason, whether the column stays a feature or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.features_file import read_features
from skfleet_common.model.fit import FittedBundle, fit_model
from skfleet_common.model.manifest import Role
from skfleet_common.model.notices import NoticeKind

ROWS = 200
RANDOM = np.random.default_rng(7)
NOISE = RANDOM.normal(size=ROWS)
CLASSES = RANDOM.integers(0, 2, ROWS)

_TYPES = {
    pa.int64(): ("bigint", LogicalDtype.INTEGER),
    pa.float64(): ("double precision", LogicalDtype.FLOAT64),
    pa.bool_(): ("boolean", LogicalDtype.BOOLEAN),
    pa.string(): ("text", LogicalDtype.TEXT),
}


def fit_columns(arrays: dict[str, pa.Array], **choices: Any) -> FittedBundle:
    """Fit on a column of noise and the given ones; the target is ``y``."""
    arrays = {"noise": pa.array(NOISE), "y": pa.array(CLASSES == 1), **arrays}
    columns = [
        Column(name=name, warehouse_type=_TYPES[array.type][0], dtype=_TYPES[array.type][1])
        for name, array in arrays.items()
    ]
    choices = {
        "targets": ("y",),
        "model": "ridge" if arrays["y"].type == pa.float64() else "logistic_regression",
        **choices,
    }
    return fit_model(pa.table(arrays), columns=columns, choices=FitChoices(**choices))


SENTENCES = [f"It rained on day {n}, and the {n % 7}th guest left early because of it." for n in range(ROWS)]

NOTICED: dict[str, tuple[pa.Array, NoticeKind, bool, str]] = {
    "a constant": (
        pa.array([3] * ROWS),
        NoticeKind.CONSTANT,
        True,
        "has the same value in every training row",
    ),
    "all NULL": (pa.nulls(ROWS, pa.float64()), NoticeKind.ALL_NULL, True, "is NULL in every training row"),
    "nearly constant": (
        pa.array([0.0] * (ROWS - 1) + [1.0]),
        NoticeKind.NEAR_CONSTANT,
        False,
        "the same value in 99.50% of the rows",
    ),
    "nearly constant text": (
        pa.array(["a"] * (ROWS - 1) + ["b"]),
        NoticeKind.NEAR_CONSTANT,
        False,
        "the same value in 99.50% of the rows",
    ),
    "row numbers": (pa.array(range(1, ROWS + 1)), NoticeKind.IDENTIFIER, True, "it numbers the rows"),
    "row numbers of every twentieth row": (
        pa.array(RANDOM.permutation(np.arange(ROWS) * 20)),
        NoticeKind.IDENTIFIER,
        True,
        "it numbers the rows",
    ),
    "far apart unique integers": (
        pa.array(RANDOM.permutation(np.arange(ROWS)) ** 3),
        NoticeKind.IDENTIFIER,
        False,
        "a whole number of its own in every",
    ),
    "integers at both ends": (
        pa.array([-(2**63), 2**63 - 1, *range(ROWS - 2)]),
        NoticeKind.IDENTIFIER,
        False,
        "a whole number of its own",
    ),
    "a text a row": (
        pa.array([f"C-{n:05}" for n in range(ROWS)]),
        NoticeKind.IDENTIFIER,
        True,
        "200 different texts in 200 rows, like an identifier",
    ),
    "sentences": (pa.array(SENTENCES), NoticeKind.FREE_TEXT, True, "like free text"),
    "only rare levels": (
        pa.array([f"L{n // 3}" for n in range(ROWS)]),
        NoticeKind.TOO_MANY_LEVELS,
        True,
        "none of its 67 levels is in 5 rows or more",
    ),
    "some rare levels": (
        pa.array(["often"] * 150 + [f"L{n}" for n in range(50)]),
        NoticeKind.RARE_LEVELS,
        False,
        "50 of 51 levels are in fewer than 5 rows, and are encoded together",
    ),
    "the target": (pa.array(CLASSES == 1), NoticeKind.TARGET_TWIN, False, "says the same as the target 'y'"),
    "the target in numbers": (
        pa.array(CLASSES),
        NoticeKind.TARGET_TWIN,
        False,
        "says the same as the target 'y'",
    ),
    "the target in words": (
        pa.array(np.where(CLASSES == 1, "late", "on time")),
        NoticeKind.TARGET_TWIN,
        False,
        "says the same as the target",
    ),
}


@pytest.mark.parametrize("case", NOTICED)
def test_a_column_is_named_with_its_reason(case: str) -> None:
    array, kind, left_out, sentence = NOTICED[case]
    fitted = fit_columns({"odd one": array})
    (notice,) = [notice for notice in fitted.notices if notice.column]
    assert (notice.column, notice.kind, notice.left_out) == ("odd one", kind, left_out)
    assert sentence in notice.sentence
    assert "'odd one'" in notice.sentence
    assert notice.sentence in fitted.warnings
    column = fitted.manifest.column("odd one")
    assert column.role is (Role.EXCLUDED if left_out else Role.FEATURE)
    assert (column.reason is not None) is left_out
    assert ("odd one" in fitted.manifest.feature_columns) is not left_out


UNSUSPICIOUS = {
    "few values": pa.array(RANDOM.integers(0, 5, ROWS)),
    "amounts": pa.array(RANDOM.normal(size=ROWS)),
    "repeated numbers": pa.array([n // 2 for n in range(ROWS)]),
    "a number of its own, or none": pa.array([None, *range(1, ROWS)], pa.int64()),
    "levels": pa.array([f"L{n % 9}" for n in range(ROWS)]),
    "constant beside NULLs": pa.array([None if n % 3 else 1 for n in range(ROWS)], pa.int64()),
    "opposite most of the time": pa.array(
        [value if n else 1 - value for n, value in enumerate(CLASSES.tolist())]
    ),
}


@pytest.mark.parametrize("case", UNSUSPICIOUS)
def test_nothing_is_said_of_a_column_that_is_like_others(case: str) -> None:
    fitted = fit_columns({"odd one": UNSUSPICIOUS[case]})
    assert fitted.notices == ()
    assert "odd one" in fitted.manifest.feature_columns


def test_the_twin_of_an_amount_is_named() -> None:
    y = pa.array(RANDOM.normal(size=ROWS))
    fitted = fit_columns({"y": y, "copy": y})
    assert [(notice.column, notice.kind) for notice in fitted.notices] == [("copy", NoticeKind.TARGET_TWIN)]


def test_two_columns_that_are_different_in_every_row_are_no_twins() -> None:
    numbers = pa.array(RANDOM.permutation(np.arange(ROWS) ** 2))
    fitted = fit_columns({"y": pa.array(RANDOM.normal(size=ROWS)), "size": numbers})
    assert {notice.kind for notice in fitted.notices} == {NoticeKind.IDENTIFIER}


def test_row_numbers_are_a_feature_when_they_are_asked_for() -> None:
    asked = read_features({"columns": {"n": {"kind": "number"}}})
    fitted = fit_columns({"n": pa.array(range(ROWS))}, features=asked)
    assert "n" in fitted.manifest.feature_columns
    assert [notice.kind for notice in fitted.notices] == [NoticeKind.IDENTIFIER]


def test_text_that_looks_like_an_identifier_is_a_category_when_it_is_asked_for() -> None:
    asked = read_features({"columns": {"code": {"kind": "category", "rare": 0}}})
    fitted = fit_columns({"code": pa.array([f"C-{n}" for n in range(ROWS)])}, features=asked)
    assert "code" in fitted.manifest.feature_columns


def test_a_type_that_no_model_takes_is_named() -> None:
    columns = [
        Column(name="noise", warehouse_type="double precision", dtype=LogicalDtype.FLOAT64),
        Column(name="payload", warehouse_type="jsonb", dtype=LogicalDtype.OTHER),
        Column(name="y", warehouse_type="boolean", dtype=LogicalDtype.BOOLEAN),
    ]
    table = pa.table({"noise": NOISE, "y": CLASSES == 1})
    choices = FitChoices(targets=("y",), model="logistic_regression")
    (notice,) = fit_model(table, columns=columns, choices=choices).notices
    assert (notice.column, notice.kind, notice.left_out) == ("payload", NoticeKind.UNUSABLE_TYPE, True)
    assert "jsonb" in notice.sentence


def test_more_features_than_rows_are_learned_from_and_said() -> None:
    rows = 12
    arrays: dict[str, pa.Array] = {f"x{n}": pa.array(RANDOM.normal(size=rows)) for n in range(30)}
    arrays |= {"noise": pa.array(NOISE[:rows]), "y": pa.array([n % 2 == 0 for n in range(rows)])}
    (notice,) = fit_columns(arrays).notices
    assert (notice.column, notice.kind) == ("", NoticeKind.SHAPE)
    assert notice.sentence.startswith("There are 31 features, but only 12 rows to learn from")


def test_when_nothing_is_left_every_column_is_named() -> None:
    arrays = {"noise": pa.array([1.5] * ROWS), "row": pa.array(range(ROWS))}
    with pytest.raises(Refused, match=r"No column is left .*'noise'.* 'row' was left out: it numbers"):
        fit_columns(arrays)
