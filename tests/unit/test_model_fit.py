"""Training leaves out what cannot be learned from, says so, and refuses what leaves nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model_samples import CITY, SHOP_COLUMNS, fit_shop, shop_rows
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import FittedBundle, fit_model
from skfleet_common.model.manifest import FeatureManifest, Learning, Role


def _set(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _columns_but(name: str, **change: Any) -> list[Column]:
    return [column.model_copy(update=change) if column.name == name else column for column in SHOP_COLUMNS]


def _without_clock(fitted: FittedBundle) -> FeatureManifest:
    provenance = fitted.manifest.provenance.model_copy(update={"seconds": 0.0})
    unclocked = {"created_at": None, "hints": None, "provenance": provenance}
    return fitted.manifest.model_copy(update=unclocked)


def test_the_same_rows_and_seed_give_the_same_model() -> None:
    one, two = fit_shop(seed=5), fit_shop(seed=5)
    assert _without_clock(one) == _without_clock(two)
    assert one.golden == two.golden
    assert one.metrics == two.metrics


def test_every_column_of_the_table_has_a_role_and_exclusions_their_reason() -> None:
    roles = {column.name: (column.role, column.reason) for column in fit_shop().manifest.columns}
    assert list(roles) == [column.name for column in SHOP_COLUMNS]
    assert roles["id"] == (Role.KEY, None)
    assert roles["returned"] == (Role.TARGET, None)
    assert roles["amount"] == (Role.EXCLUDED, "excluded by the user")
    assert roles["payload"] == (Role.EXCLUDED, "jsonb is no type that a model can use")
    assert roles[CITY] == (Role.FEATURE, None)


def test_target_and_ids_are_never_features() -> None:
    assert not {"id", "returned"} & set(fit_shop().manifest.feature_columns)


def test_constants_and_identifiers_are_left_out_and_named() -> None:
    table = shop_rows(2_500)
    table = _set(table, "items", pa.array([7] * 2_500, pa.int32()))
    table = _set(table, CITY, pa.array([f"customer {number}" for number in range(2_500)]))
    fitted = fit_shop(table)
    assert not {"items", CITY} & set(fitted.manifest.feature_columns)
    assert "Column 'items' was left out: it has the same value in every training row." in fitted.warnings
    assert any("2,500 different texts" in warning for warning in fitted.warnings)


def test_a_column_that_is_null_in_every_row_is_left_out_and_named() -> None:
    fitted = fit_shop(_set(shop_rows(), "items", pa.nulls(400, pa.int32())))
    assert "items" not in fitted.manifest.feature_columns
    assert "Column 'items' was left out: it is NULL in every training row." in fitted.warnings


def test_a_column_that_is_no_feature_leaves_no_row_out() -> None:
    endless = [np.inf if row % 2 else 7.0 for row in range(400)]
    fitted = fit_shop(_set(shop_rows(), "score", pa.array(endless)))
    assert "score" not in fitted.manifest.feature_columns
    assert fitted.manifest.provenance.rows == 400
    told = [note for note in fitted.warnings if "'score'" in note]
    assert told == ["Column 'score' was left out: it has the same value in every training row."]


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    returned = [None if row < 30 else bool(row % 2) for row in range(400)]
    columns = _columns_but("returned", nullable=True)
    fitted = fit_model(
        _set(shop_rows(), "returned", pa.array(returned)),
        columns=columns,
        choices=FitChoices(targets=("returned",), id_columns=("id",)),
    )
    assert fitted.manifest.provenance.rows_without_target == 30
    assert fitted.manifest.provenance.rows == 370
    assert "The target 'returned' is NULL in 30 rows, which were left out." in fitted.warnings


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pa.array([True] * 400), "only one value"),
        (pa.nulls(400, pa.bool_()), "NULL in every row"),
    ],
)
def test_a_target_with_nothing_to_tell_apart_is_refused(rows: pa.Array, message: str) -> None:
    with pytest.raises(Refused, match=message):
        fit_shop(_set(shop_rows(), "returned", rows))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(Refused, match="has no rows to train on"):
        fit_shop(shop_rows(0))
    with pytest.raises(Refused, match="Only 1 row can be trained on"):
        fit_shop(shop_rows(1))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"target": "retuned"}, Refused, "no target 'retuned'.*did you mean returned"),
        ({"exclude": ["amoun"]}, Refused, "no column to exclude 'amoun'.*did you mean amount"),
        ({"exclude": ["returned"]}, UsageError, "also an id, weight or excluded column"),
        ({"target": "payload"}, Refused, "'payload' is jsonb, which no model predicts"),
        ({"categorical": ["score"]}, UsageError, "only integers and text can be categorical"),
        ({"categorical": ["id"]}, UsageError, "it is no feature"),
        ({"model": "gradient_bosting"}, UsageError, "did you mean gradient_boosting"),
        ({"model": "ridge"}, UsageError, "ridge is a regression, but the target 'returned' is boolean"),
        (
            {"model": "logistic_regression", "target": "amount"},
            UsageError,
            "logistic_regression predicts classes",
        ),
        ({"null_policy": "drop"}, UsageError, "'drop' is no policy"),
        ({"null_policy": {"item": "error"}}, UsageError, "'item', which is no feature; did you mean items"),
        ({"unseen_policy": {CITY: "reject_rows"}}, UsageError, "did you mean reject_row"),
        ({"weight": "member"}, Refused, "The weight 'member' is boolean, not a number"),
        ({"weight": "score"}, Refused, "The weight 'score' must be a finite number"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_sentence(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fit_shop(**settings)


def test_the_target_decides_between_classes_and_amounts() -> None:
    assert fit_shop(target="returned").manifest.model == "gradient_boosting_classifier"
    assert fit_shop(target="amount").manifest.model == "gradient_boosting_regressor"
    by_city = fit_shop(target=CITY)
    assert by_city.manifest.target.learning is Learning.CLASSIFICATION
    many = fit_shop(target="items")
    assert many.manifest.target.learning is Learning.REGRESSION
    assert any("different whole numbers, so it is predicted as an amount" in text for text in many.warnings)
    few = fit_shop(target="shelf")
    assert few.manifest.target.classes is not None
    assert few.manifest.target.classes.values == (-1, 1, 7, 300)
    forced = fit_shop(target="shelf", model="random_forest_regressor")
    assert forced.manifest.target.learning is Learning.REGRESSION


def test_classes_keep_their_type_and_get_typed_output_columns() -> None:
    outputs = fit_shop(target="shelf").manifest.output_columns()
    assert [(column.name, column.warehouse_type, column.source) for column in outputs] == [
        ("prediction", "bigint", "prediction"),
        ("proba_minus_1", "double precision", "probability"),
        ("proba_1", "double precision", "probability"),
        ("proba_7", "double precision", "probability"),
        ("proba_300", "double precision", "probability"),
    ]
    assert fit_shop(target=CITY).manifest.output_columns()[0].warehouse_type == "text"
    assert fit_shop().manifest.output_columns()[0].warehouse_type == "boolean"
    assert [c.warehouse_type for c in fit_shop(target="amount").manifest.output_columns()] == [
        "double precision"
    ]


def test_infinite_features_are_left_out_of_training_and_named() -> None:
    score = pa.array([np.inf if row < 3 else float(row) for row in range(400)])
    fitted = fit_shop(_set(shop_rows(), "score", score), model="logistic_regression")
    assert fitted.manifest.provenance.rows_rejected == 3
    assert any("'score' is infinite or too large in 3 rows" in warning for warning in fitted.warnings)


def test_a_linear_model_records_what_stands_in_for_null() -> None:
    table = shop_rows()
    features = {f.column: f for f in fit_shop(table, model="logistic_regression").manifest.features}
    scores = table.column("score").drop_null().to_numpy()
    assert features["score"].fills == (float(np.median(scores)),)
    counts = table.column(CITY).drop_null().value_counts().to_pylist()
    assert features[CITY].fills[0] in {
        c["values"] for c in counts if c["counts"] == max(x["counts"] for x in counts)
    }
    assert all(not feature.fills for feature in fit_shop(table).manifest.features)


def test_weights_change_what_is_learned() -> None:
    columns = [*SHOP_COLUMNS, Column(name="w", warehouse_type="integer", dtype=LogicalDtype.INTEGER)]
    table = shop_rows()
    heavy = pa.array([100 if value else 1 for value in table.column("returned").to_pylist()])
    choices = FitChoices(
        targets=("returned",),
        model="logistic_regression",
        id_columns=("id",),
        exclude=("amount",),
        weight="w",
    )
    light = fit_model(table.append_column("w", pa.array([1] * 400)), columns=columns, choices=choices)
    tilted = fit_model(table.append_column("w", heavy), columns=columns, choices=choices)
    intercepts = [fitted.pipeline.named_steps["model"].intercept_[0] for fitted in (light, tilted)]
    assert intercepts[1] > intercepts[0] + 1
    assert {c.name: c.role for c in light.manifest.columns}["w"] is Role.WEIGHT


def test_metrics_are_measured_on_rows_that_the_measured_model_did_not_see() -> None:
    metrics = fit_shop(shop_rows(1_000)).metrics
    assert (metrics["rows_fitted"], metrics["rows_measured"]) == (800, 200)
    assert 0.5 < metrics["roc_auc"] <= 1
    assert set(fit_shop(target="amount").metrics) >= {"r2", "rmse", "mae"}
    assert "skipped" in fit_shop(shop_rows(40)).metrics
