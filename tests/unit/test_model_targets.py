"""One model may learn several targets; a target that cannot be learned is refused in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.estimator_census import COLUMNS, FEATURES, TARGETS, census_rows

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.bundle import Bundle, digest_of, open_bundle, pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import FittedBundle, fit_model
from skfleet_common.model.manifest import Learning, Levels, Target
from skfleet_common.model.outputs import output_columns_of
from skfleet_common.model.predictor import Scores

ROWS = census_rows()


def fitted_to(*targets: str, table: pa.Table = ROWS, columns: Any = COLUMNS, **choices: Any) -> FittedBundle:
    settings = {"model": "DecisionTreeClassifier", "id_columns": ("id",), **choices}
    exclude = tuple({*TARGETS} - {*targets})
    return fit_model(table, columns=columns, choices=FitChoices(targets=targets, exclude=exclude, **settings))


def opened(fitted: FittedBundle) -> Bundle:
    files = pack(fitted)
    return open_bundle(files, digest=digest_of(files["manifest.json"]))


def replaced(name: str, values: Any) -> pa.Table:
    return ROWS.set_column(ROWS.schema.get_field_index(name), name, pa.array(values))


def test_whole_numbers_beside_an_amount_are_said_to_be_an_amount() -> None:
    numbers = [row % 2 for row in range(ROWS.num_rows)]
    table = replaced("kind", numbers)
    columns = [
        column.model_copy(update={"warehouse_type": "integer", "dtype": LogicalDtype.INTEGER})
        if column.name == "kind"
        else column
        for column in COLUMNS
    ]
    fitted = fitted_to("kind", "amount", table=table, columns=columns, model="random_forest")
    assert fitted.manifest.target.learning is Learning.REGRESSION
    assert any(
        "'kind' has whole numbers, which are predicted as an amount because another target is" in note
        for note in fitted.warnings
    )


@pytest.mark.parametrize(
    "model",
    ["DecisionTreeClassifier", "random_forest", "logistic_regression", "gradient_boosting", "LGBMClassifier"],
)
def test_several_targets_of_classes_have_their_own_columns(model: str) -> None:
    bundle = opened(fitted_to("kind", "flag", model=model))
    outputs = bundle.score(ROWS).outputs
    assert outputs.schema.names == [
        "prediction_kind",
        "proba_kind_class_1",
        "proba_kind_l_ete",
        "proba_kind_ol_und_gas",
        "prediction_flag",
        "proba_flag_false",
        "proba_flag_true",
    ]
    assert set(outputs.column("prediction_kind").to_pylist()) <= {"", "l'été", 'Öl "und" Gas'}
    assert outputs.schema.field("prediction_flag").type == pa.bool_()
    sums = sum(outputs.column(name).to_numpy() for name in outputs.schema.names[1:4])
    np.testing.assert_allclose(sums, 1.0)


@pytest.mark.parametrize("model", ["ridge", "gradient_boosting", "XGBRegressor", "MultiTaskLasso", "SVR"])
def test_several_amounts_are_predicted_by_one_model(model: str) -> None:
    bundle = opened(fitted_to("amount", "size", model=model))
    assert bundle.score(ROWS).outputs.schema.names == ["prediction_amount", "prediction_size"]


def test_several_targets_learn_what_one_target_alone_would() -> None:
    together = opened(fitted_to("either", "flag", model="logistic_regression")).score(ROWS).outputs
    alone = opened(fitted_to("flag", model="logistic_regression")).score(ROWS).outputs
    assert together.column("prediction_flag").equals(alone.column("prediction"))
    np.testing.assert_allclose(together.column("proba_flag_true"), alone.column("proba_true"), rtol=1e-9)


def test_the_order_of_the_targets_is_the_user_s() -> None:
    fitted = fitted_to("flag", "either")
    assert [target.column for target in fitted.manifest.targets] == ["flag", "either"]
    assert fitted.manifest.target.column == "flag"
    bundle = opened(fitted)
    assert bundle.score(ROWS).outputs.schema.names[0] == "prediction_flag"


def test_figures_and_out_of_sample_rows_are_of_every_target() -> None:
    fitted = fitted_to("either", "flag", cross_validate=3, keep_out_of_sample=True)
    assert set(fitted.metrics["targets"]) == {"either", "flag"}
    assert 0 < fitted.metrics["targets"]["flag"]["accuracy"] <= 1
    assert fitted.out_of_sample is not None
    assert fitted.out_of_sample.column_names == [
        "id",
        *(column.name for column in fitted.manifest.outputs),
    ]


def test_several_targets_are_calibrated_and_searched() -> None:
    fitted = fitted_to(
        "either", "flag", calibrate="sigmoid", search="grid", search_space={"max_depth": [1, 2]}
    )
    assert fitted.metrics["search"]["best_params"]["max_depth"] in {1, 2}
    assert len(opened(fitted).score(ROWS).outputs.schema.names) == 6


def test_classes_and_amounts_do_not_go_into_one_model() -> None:
    with pytest.raises(UsageError, match="'flag' has classes and 'amount' is an amount, and one model"):
        fitted_to("flag", "amount", model="random_forest")


def test_a_row_without_one_of_the_targets_is_left_out() -> None:
    columns = [column.model_copy(update={"nullable": True}) for column in COLUMNS]
    table = replaced("flag", [None if row < 10 else row % 2 == 0 for row in range(90)])
    fitted = fitted_to("either", "flag", table=table, columns=columns)
    assert fitted.manifest.provenance.rows == 80
    assert "The target 'flag' is NULL in 10 rows, which were left out." in fitted.warnings


def test_names_of_many_long_targets_stay_apart() -> None:
    classes = Levels(dtype=LogicalDtype.TEXT, values=("a" * 80, "b"))
    long = [
        Target(
            column=f"{'t' * 60}{number}",
            dtype=LogicalDtype.TEXT,
            learning=Learning.CLASSIFICATION,
            classes=classes,
        )
        for number in range(12)
    ]
    names = [column.name for column in output_columns_of(long, Scores.PROBABILITY)]
    assert len(set(names)) == len(names) == 36
    assert max(len(name.encode()) for name in names) <= 63


@pytest.mark.parametrize(
    ("target", "values", "sentence"),
    [
        ("flag", [True] * 90, "'flag' has only one value in the training rows"),
        ("amount", [float("inf"), *[1.0, 2.0] * 44, 3.0], "'amount' is infinite in 1 rows?"),
        ("amount", [None] * 90, "'amount' is NULL in every row"),
        ("amount", [float("nan")] * 90, "'amount' is NULL in every row"),
        ("kind", [f"class {row}" for row in range(90)], None),
        ("amount", [1.0, *[None] * 89], "Only 1 row can be trained on"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(target: str, values: Any, sentence: str | None) -> None:
    columns = [column.model_copy(update={"nullable": True}) for column in COLUMNS]
    table = replaced(target, values)
    if target == "amount":
        table = table.set_column(7, "amount", table.column("amount").cast(pa.float64()))
    model = "DecisionTreeRegressor" if target == "amount" else "DecisionTreeClassifier"
    if sentence is None:
        fitted = fitted_to(target, table=table, columns=columns, model=model)
        assert fitted.metrics["skipped"] == "a class is too rare to be in both parts of the rows"
        return
    with pytest.raises(Refused, match=sentence):
        fitted_to(target, table=table, columns=columns, model=model)


def test_no_target_in_the_table_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(Refused, match="no target 'flags'"):
        fitted_to("flags")


def test_more_features_than_rows_are_said_and_fitted() -> None:
    width = 40
    random = np.random.default_rng(0)
    table = pa.table({f"x{n}": random.normal(size=12) for n in range(width)} | {"y": random.normal(size=12)})
    columns = [
        Column(name=name, warehouse_type="double precision", dtype=LogicalDtype.FLOAT64)
        for name in table.schema.names
    ]
    fitted = fit_model(table, columns=columns, choices=FitChoices(targets=("y",), model="ridge"))
    assert any("40 features, but only 12 rows" in warning for warning in fitted.warnings)
    assert fitted.metrics["skipped"] == "fewer than 50 rows"
    files = pack(fitted)
    assert open_bundle(files, digest=digest_of(files["manifest.json"])).score(table).outputs.num_rows == 12


def weighted(table: pa.Table, *, weight: str | None = "size", **choices: Any) -> FittedBundle:
    asked = FitChoices(
        targets=("flag",),
        id_columns=("id",),
        exclude=tuple({*TARGETS} - {"flag", weight}),
        weight=weight,
        **choices,
    )
    columns = [column.model_copy(update={"nullable": True}) for column in COLUMNS]
    return fit_model(table, columns=columns, choices=asked)


@pytest.mark.parametrize("model", ["logistic_regression", "MultinomialNB", "DecisionTreeClassifier"])
def test_weights_change_the_model_and_are_no_feature(model: str) -> None:
    table = replaced("size", np.where(np.arange(90) < 45, 1.0, 0.0))
    with_weights, without = weighted(table, model=model), weighted(table, model=model, weight=None)
    assert with_weights.manifest.feature_columns == FEATURES
    assert with_weights.golden != without.golden
    opened(with_weights)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), None])
def test_weights_that_are_none_are_refused(wrong: float | None) -> None:
    with pytest.raises(Refused, match="The weight 'size' must be a finite number of at least 0 in every row"):
        weighted(replaced("size", [wrong, *[1.0] * 89]))


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(Refused, match="not 0 in all"):
        weighted(replaced("size", [0.0] * 90))
