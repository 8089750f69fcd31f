"""What is asked of single columns is done, or refused in a sentence before any row is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model_samples import CITY, SHOP_COLUMNS, as_driver_gives, fit_shop, open_again, shop_rows
from skfleet.fit_keywords import fit_choices, with_found_columns
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.feature_choices import FeatureChoices
from skfleet_common.model.features_file import read_features
from skfleet_common.model.fit import FittedBundle
from skfleet_common.model.manifest import Feature, FeatureKind, Role
from skfleet_common.model.policies import Fill, NullPolicy, Scale, UnseenPolicy
from skfleet_common.model.preflight import check_source
from skfleet_common.tables.port import FeatureCounts


def asking(defaults: dict[str, Any] | None = None, **columns: Any) -> FeatureChoices:
    return read_features({"defaults": defaults or {}, "columns": columns})


def features_of(fitted: FittedBundle) -> dict[str, Feature]:
    return {feature.column: feature for feature in fitted.manifest.features}


def row_of(fitted: FittedBundle, **values: Any) -> dict[str, float]:
    """Give the features of one row with these values."""
    frame = as_driver_gives(shop_rows(1, nulls=0)).assign(**{name: [value] for name, value in values.items()})
    names = [feature.name for feature in fitted.manifest.transformed]
    return dict(zip(names, open_again(fitted).features(frame)[0].tolist(), strict=True))


def test_a_column_is_excluded_and_says_who_did_it() -> None:
    fitted = fit_shop(features=asking(items={"kind": "exclude"}))
    column = fitted.manifest.column("items")
    assert (column.role, column.reason) == (Role.EXCLUDED, "excluded by the user")


def test_what_is_said_of_an_excluded_column_is_told_to_count_for_nothing() -> None:
    fitted = fit_shop(exclude=("amount", "items"), features=asking(items={"fill": "median"}))
    assert [note for note in fitted.warnings if "'items'" in note] == [
        "Column 'items' is excluded, so what the features file says of it counts for nothing."
    ]


def test_a_features_file_names_columns_as_options_do_folded_where_they_are_not_spelt_so() -> None:
    def found(**said: Any) -> FitChoices:
        choices = fit_choices(target="returned", name="x", features={"columns": said})
        return with_found_columns(choices, SHOP_COLUMNS, source="public.shop")

    said = {"rare": 3}
    assert list(found(ITEMS=said, score=said).features.columns) == ["items", "score"]
    assert list(found(**{CITY: said}).features.columns) == [CITY]
    with pytest.raises(UsageError, match="speaks of ITEMS and of items, which are one column"):
        found(ITEMS=said, items=said)


def test_whole_numbers_become_a_category() -> None:
    shelf = features_of(fit_shop(features=asking(shelf={"kind": "category"})))["shelf"]
    assert shelf.kind is FeatureKind.CATEGORY
    assert shelf.known_levels == (-1, 1, 7, 300)


def test_a_moment_has_the_parts_that_are_asked_for() -> None:
    fitted = fit_shop(features=asking(seen={"parts": ["quarter", "minute"]}, opens={"parts": ["second"]}))
    names = [feature.name for feature in fitted.manifest.transformed]
    assert [name for name in names if name.startswith(("seen", "opens"))] == [
        "opens:second", "seen:quarter", "seen:minute",
    ]  # fmt: skip


@pytest.mark.parametrize("fill", ["median", "mean", "most_frequent"])
@pytest.mark.parametrize("model", ["gradient_boosting", "logistic_regression"])
def test_a_fill_is_learned_and_stands_in_for_null(model: str, fill: str) -> None:
    table = shop_rows()
    fitted = fit_shop(table, model=model, features=asking(score={"fill": fill, "scale": "none"}))
    known = table.column("score").drop_null().to_numpy()
    values, counts = np.unique(known, return_counts=True)
    expected = {
        "median": np.median(known),
        "mean": np.mean(known),
        "most_frequent": values[counts.argmax()],
    }
    (stands_in,) = features_of(fitted)["score"].fills
    assert stands_in == pytest.approx(expected[fill])
    assert row_of(fitted, score=None)["score"] == stands_in


@pytest.mark.parametrize("model", ["gradient_boosting", "logistic_regression"])
def test_a_constant_stands_in_for_null(model: str) -> None:
    fitted = fit_shop(model=model, features=asking(score={"fill": -5, "scale": "none"}))
    assert features_of(fitted)["score"].fills == (-5.0,)
    assert row_of(fitted, score=None)["score"] == -5.0


@pytest.mark.parametrize("model", ["gradient_boosting", "logistic_regression"])
def test_a_missing_level_may_be_a_level_of_its_own(model: str) -> None:
    asked = read_features({"columns": {CITY: {"fill": {"constant": "(none)"}}}})
    fitted = fit_shop(model=model, features=asked)
    feature = features_of(fitted)[CITY]
    assert feature.levels is not None
    assert "(none)" in feature.levels.values
    assert feature.fills == ("(none)",)
    missing, named = row_of(fitted, **{CITY: None}), row_of(fitted, **{CITY: "(none)"})
    assert {k: v for k, v in missing.items() if CITY in k} == {k: v for k, v in named.items() if CITY in k}
    assert missing != row_of(fitted, **{CITY: "Ulm"})


@pytest.mark.parametrize("model", ["gradient_boosting", "logistic_regression"])
def test_the_most_frequent_level_stands_in_for_a_missing_one(model: str) -> None:
    fitted = fit_shop(model=model, features=read_features({"columns": {CITY: {"fill": "most_frequent"}}}))
    (level,) = features_of(fitted)[CITY].fills
    table = shop_rows().column(CITY).drop_null().value_counts().to_pylist()
    assert max(entry["counts"] for entry in table) == next(e["counts"] for e in table if e["values"] == level)
    here, there = row_of(fitted, **{CITY: None}), row_of(fitted, **{CITY: level})
    assert here == there


@pytest.mark.parametrize("scale", [Scale.STANDARD, Scale.ROBUST, Scale.MIN_MAX, Scale.MAX_ABS, Scale.NONE])
@pytest.mark.parametrize("model", ["gradient_boosting", "logistic_regression"])
def test_a_number_is_scaled_as_asked(model: str, scale: Scale) -> None:
    table = shop_rows(nulls=0.0)
    fitted = fit_shop(table, model=model, features=asking(score={"scale": scale.value}))
    known = table.column("score").to_numpy()
    low, high = np.percentile(known, [25, 75])
    expected = {
        Scale.STANDARD: (1.5 - known.mean()) / known.std(),
        Scale.ROBUST: (1.5 - np.median(known)) / (high - low),
        Scale.MIN_MAX: (1.5 - known.min()) / (known.max() - known.min()),
        Scale.MAX_ABS: 1.5 / np.abs(known).max(),
        Scale.NONE: 1.5,
    }
    assert row_of(fitted, score=1.5)["score"] == pytest.approx(expected[scale])
    assert features_of(fitted)["score"].scale is scale
    assert features_of(fitted)["items"].scale is (
        Scale.NONE if model == "gradient_boosting" else Scale.STANDARD
    )


def test_defaults_are_of_every_column_that_is_not_spoken_of() -> None:
    asked = asking({"scale": "min_max", "fill": "mean", "nulls": "missing"}, score={"scale": "none"})
    features = features_of(fit_shop(model="logistic_regression", features=asked))
    assert (features["items"].scale, features["items"].fill) == (Scale.MIN_MAX, Fill.MEAN)
    assert (features["score"].scale, features["score"].fill) == (Scale.NONE, Fill.MEAN)
    assert features[CITY].fill is Fill.MOST_FREQUENT


def test_policies_by_name_go_before_the_file_and_the_file_before_those_of_all_columns() -> None:
    by_column = {"items": {"nulls": "missing"}, "score": {"nulls": "missing"}}
    asked = asking({"nulls": "reject_row"}, **by_column, shelf={"kind": "category", "unseen": "error"})
    named = fit_shop(features=asked, null_policy={"items": "reject_row"}, unseen_policy="reject_row")
    features = features_of(named)
    nulls = {name: feature.nulls for name, feature in features.items()}
    assert nulls["items"] is NullPolicy.REJECT_ROW
    assert nulls["score"] is NullPolicy.MISSING
    assert nulls["price"] is NullPolicy.REJECT_ROW
    assert (features["shelf"].unseen, features[CITY].unseen) == (UnseenPolicy.ERROR, UnseenPolicy.REJECT_ROW)
    everything = features_of(fit_shop(features=asked, null_policy={"*": "missing"}))
    assert {feature.nulls for feature in everything.values()} == {NullPolicy.MISSING}


REFUSED = {
    "no column": ({"itemz": {}}, "'itemz', which is no column; did you mean items"),
    "the target": ({"returned": {}}, "'returned', which is the target"),
    "an id": ({"id": {}}, "'id', which is an id column"),
    "text as a number": ({CITY: {"kind": "number"}}, "is text; only numbers and booleans can be numbers"),
    "a number as a category": (
        {"score": {"kind": "category"}},
        "only whole numbers and text can be categories",
    ),
    "a boolean as a category": ({"member": {"kind": "category"}}, "only whole numbers and text"),
    "text as a moment": ({CITY: {"kind": "moment"}}, "only dates, times and timestamps can be moments"),
    "parts of a number": ({"items": {"parts": ["hour"]}}, "'items' is integer, which has no parts"),
    "a part that dates have not": (
        {"born": {"parts": ["hour"]}},
        "no part 'hour'; use some of year",
    ),
    "a part misspelt": ({"seen": {"parts": ["weekdy"]}}, "did you mean weekday"),
    "a part twice": ({"seen": {"parts": ["hour", "hour"]}}, "asked for twice"),
    "rare levels of a number": ({"score": {"rare": 5}}, "'score' is no category.*kind: category"),
    "unseen levels of a date": ({"born": {"unseen": "error"}}, "'born' is no category"),
    "the scale of a category": ({CITY: {"scale": "robust"}}, "a category, which has no scale"),
    "the median of a category": ({CITY: {"fill": "median"}}, "a category, which has no median"),
    "text for a number": (
        {"score": {"fill": {"constant": "none"}}},
        "numbers, which 'none' cannot stand in for",
    ),
    "a number for text": ({CITY: {"fill": 3}}, "text, which 3 cannot stand in for"),
    "a fraction for a level": ({"shelf": {"kind": "category", "fill": 1.5}}, "which 1.5 cannot stand in for"),
    "a level beyond doubles": ({"shelf": {"kind": "category", "fill": 2**60}}, "cannot stand in for"),
    "a fill that is never used": ({"score": {"fill": 0, "nulls": "error"}}, "null policy error never uses"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_column_cannot_be_is_refused_in_one_sentence(case: str) -> None:
    columns, message = REFUSED[case]
    with pytest.raises(UsageError, match=message):
        fit_shop(features=read_features({"columns": columns}))


def test_text_cannot_stand_in_for_every_number() -> None:
    with pytest.raises(UsageError, match="The fill of all columns is 'none', which no number can be"):
        fit_shop(features=asking({"fill": {"constant": "none"}}))


def test_two_places_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="'shelf' is to be categorical and of kind number"):
        fit_shop(categorical=["shelf"], features=asking(shelf={"kind": "number"}))


def test_missing_values_cannot_stay_in_a_linear_model() -> None:
    with pytest.raises(UsageError, match="'score' is to keep its missing values, which this model"):
        fit_shop(model="logistic_regression", features=asking(score={"fill": "none"}))
    assert features_of(fit_shop(features=asking(score={"fill": "none"})))["score"].fill is Fill.NONE


def test_a_scale_that_makes_training_numbers_too_large_is_refused_and_named() -> None:
    table = shop_rows(nulls=0)
    values = np.zeros(400)
    values[:150], values[399] = 1e-10, 1e38
    table = table.set_column(table.schema.get_field_index("score"), "score", pa.array(values))
    with pytest.raises(Refused, match="In 1 row, score is too large once it is scaled; ask"):
        fit_shop(table, model="logistic_regression", features=asking(score={"scale": "robust"}))


def _with_names(counts: dict[str, int]) -> pa.Table:
    names = [name for name, count in counts.items() for _ in range(count)]
    table = shop_rows(len(names), nulls=0)
    return table.set_column(table.schema.get_field_index(CITY), CITY, pa.array(names))


MANY = {"common": 300, "usual": 200, **{f"rare {n}": 1 + n % 4 for n in range(30)}}


@pytest.mark.parametrize("model", ["gradient_boosting", "random_forest", "logistic_regression"])
def test_rare_levels_are_encoded_together_and_are_not_unseen(model: str) -> None:
    fitted = fit_shop(_with_names(MANY), model=model, unseen_policy="reject_row")
    feature = features_of(fitted)[CITY]
    assert feature.levels is not None
    assert feature.rare_levels is not None
    assert feature.levels.values == ("common", "usual")
    assert set(feature.rare_levels.values) == set(MANY) - {"common", "usual"}
    bundle = open_again(fitted)
    frame = as_driver_gives(shop_rows(1, nulls=0))
    rows = [bundle.features(frame.assign(**{CITY: [name]})) for name in ("rare 0", "rare 7", "common")]
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])
    batch = shop_rows(2, nulls=0).set_column(7, CITY, pa.array(["rare 3", "Atlantis"]))
    scored = bundle.score(batch)
    assert scored.kept.tolist() == [True, False]
    assert scored.rejected[0].reason == f"{CITY} holds a level that the model never saw"


def test_rare_levels_do_not_count_as_unseen_in_the_preflight() -> None:
    counts = FeatureCounts(rows=10, nulls={}, levels={CITY: {"rare 3": 9, "common": 1}})
    fitted = fit_shop(_with_names(MANY), unseen_policy={CITY: "error"})
    assert check_source(fitted.manifest, SHOP_COLUMNS, counts) == []


def test_a_column_with_few_levels_keeps_the_rare_ones_unless_asked() -> None:
    few = {"common": 300, "seldom": 2, "usual": 100}
    assert features_of(fit_shop(_with_names(few)))[CITY].rare_levels is None
    asked = read_features({"columns": {CITY: {"rare": 3}}})
    rare = features_of(fit_shop(_with_names(few), features=asked))[CITY].rare_levels
    assert rare is not None
    assert rare.values == ("seldom",)
    every = features_of(fit_shop(_with_names(MANY), features=read_features({"columns": {CITY: {"rare": 0}}})))
    assert every[CITY].rare_levels is None


def test_a_level_that_training_never_saw_is_encoded_like_the_rare_ones() -> None:
    for model in ("gradient_boosting", "logistic_regression"):
        fitted = fit_shop(_with_names(MANY), model=model)
        assert row_of(fitted, **{CITY: "Atlantis"}) == row_of(fitted, **{CITY: "rare 5"})


def test_rare_levels_survive_the_golden_rows() -> None:
    open_again(fit_shop(_with_names(MANY), model="random_forest"))
