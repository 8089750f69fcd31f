"""The preflight refuses a table that the model cannot score, and warns of one that it scores with care."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from model_samples import CITY, SHOP_COLUMNS, fit_shop, shop_rows
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.preflight import check_source
from skfleet_common.model.refusals import MissingColumn, NullRefused, TypeChanged, UnseenLevel


@dataclass(frozen=True)
class Counts:
    """What a warehouse counts."""

    rows: int = 1_000
    nulls: dict[str, int] = field(default_factory=dict)
    levels: dict[str, dict[str, int]] = field(default_factory=dict)


def _manifest(**settings: Any) -> FeatureManifest:
    return fit_shop(shop_rows(400, nulls=0), categorical=["shelf"], **settings).manifest


def _columns(of: str, /, **change: Any) -> list[Column]:
    return [column.model_copy(update=change) if column.name == of else column for column in SHOP_COLUMNS]


def test_the_training_table_itself_passes_in_silence() -> None:
    levels = {"shelf": {"-1": 500, "300": 500}, CITY: {"Ulm": 1_000}}
    assert check_source(_manifest(), SHOP_COLUMNS, Counts(levels=levels)) == []
    assert check_source(_manifest(), SHOP_COLUMNS) == []


def test_an_empty_table_passes() -> None:
    assert check_source(_manifest(null_policy="error"), SHOP_COLUMNS, Counts(rows=0)) == []


def test_a_renamed_column_is_refused_with_its_new_name() -> None:
    with pytest.raises(MissingColumn, match=r"'items', which is not there.*did you mean item_s"):
        check_source(_manifest(), _columns("items", name="item_s"))


def test_a_changed_type_is_refused_with_both_types() -> None:
    changed = _columns("shelf", warehouse_type="text", dtype=LogicalDtype.TEXT)
    with pytest.raises(TypeChanged, match=r"on whole numbers \(smallint\) but got text \(text\)"):
        check_source(_manifest(), changed)


def test_a_wider_integer_is_the_same_type() -> None:
    assert check_source(_manifest(), _columns("shelf", warehouse_type="bigint")) == []


def test_a_feature_that_is_null_in_every_row_is_refused_unless_allowed() -> None:
    counts = Counts(nulls={"items": 1_000})
    with pytest.raises(
        Refused, match="'items' is NULL in all 1,000 rows, but was in only 0 of 400 in training"
    ):
        check_source(_manifest(), SHOP_COLUMNS, counts)
    warnings = check_source(_manifest(), SHOP_COLUMNS, counts, allow_all_null=["items"])
    assert warnings == ["Column 'items' is NULL in 1,000 rows, but never was in training."]


def test_two_rows_that_are_null_may_be_chance() -> None:
    assert len(check_source(_manifest(), SHOP_COLUMNS, Counts(rows=2, nulls={"items": 2}))) == 1


def test_a_column_that_was_often_null_may_be_so_in_every_row() -> None:
    manifest = fit_shop(shop_rows(400, nulls=0.9), null_policy="missing").manifest
    assert check_source(manifest, SHOP_COLUMNS, Counts(rows=50, nulls={"items": 50})) == []


def test_nulls_are_refused_rejected_or_warned_of_by_policy() -> None:
    counts = Counts(nulls={"items": 3})
    with pytest.raises(NullRefused, match="'items' is NULL in 3 rows, but its null policy is error"):
        check_source(_manifest(null_policy={"items": "error"}), SHOP_COLUMNS, counts)
    rejecting = check_source(_manifest(null_policy={"items": "reject_row"}), SHOP_COLUMNS, counts)
    assert rejecting == ["Column 'items' is NULL in 3 rows, which will be rejected."]
    assert check_source(_manifest(), SHOP_COLUMNS, counts) == [
        "Column 'items' is NULL in 3 rows, but never was in training."
    ]


def test_unseen_levels_are_refused_rejected_or_warned_of_by_policy() -> None:
    counts = Counts(levels={CITY: {"Ulm": 960, "d": 1, "c": 2, "b": 3, "a": 4}})
    with pytest.raises(UnseenLevel, match=r"never saw \('a', 'b', 'c' and 1 more\) in 10 rows, but its"):
        check_source(_manifest(unseen_policy={CITY: "error"}), SHOP_COLUMNS, counts)
    (rejecting,) = check_source(_manifest(unseen_policy={CITY: "reject_row"}), SHOP_COLUMNS, counts)
    assert rejecting.endswith("in 10 rows, which will be rejected.")
    (scoring,) = check_source(_manifest(), SHOP_COLUMNS, counts)
    assert scoring.endswith("in 10 rows, which are scored as other.")


def test_more_unseen_levels_than_tolerated_are_refused() -> None:
    counts = Counts(levels={"shelf": {"-1": 940, "8": 60}})
    with pytest.raises(
        UnseenLevel, match=r"\('8'\) in 60 rows of 1,000 \(6.0%\), more than the tolerated 5.0%"
    ):
        check_source(_manifest(tolerated_unseen=0.05), SHOP_COLUMNS, counts)
    assert len(check_source(_manifest(tolerated_unseen=0.06), SHOP_COLUMNS, counts)) == 1
