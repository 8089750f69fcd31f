"""Parameters are set, searched and checked; probabilities calibrated; rows predicted out of sample."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from sklearn.calibration import CalibratedClassifierCV
from tests.model_samples import SHOP_COLUMNS, fit_shop, open_again, shop_rows

from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model import fitted as fitted_models
from skfleet_common.model import out_of_sample as out_of_sample_rows
from skfleet_common.model.bundle import METRICS_FILE, pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import fit_model
from skfleet_common.model.fit_checks import check_model

ROWS = shop_rows(300)
TREE = "DecisionTreeClassifier"


def test_parameters_are_set_by_name_and_by_part() -> None:
    fitted = fit_shop(ROWS, model=TREE, params={"max_depth": 2, "random_state": 7})
    assert (fitted.pipeline[-1].max_depth, fitted.pipeline[-1].random_state) == (2, 7)
    params = {"estimator": "DecisionTreeClassifier", "estimator.max_depth": 2, "n_estimators": 3}
    bagged = fit_shop(ROWS, model="BaggingClassifier", params=params)
    assert {tree.max_depth for tree in bagged.pipeline[-1].estimators_} == {2}


def test_a_list_becomes_the_tuple_that_the_estimator_has() -> None:
    fitted = fit_shop(ROWS, model="MLPClassifier", params={"hidden_layer_sizes": [4, 3], "max_iter": 5})
    assert fitted.pipeline[-1].hidden_layer_sizes == (4, 3)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"params": {"max_dept": 3}}, "has no parameter 'max_dept'; .* did you mean max_depth"),
        ({"params": {"max_depth": -1}}, r"The 'max_depth' parameter of .* Got -1 instead; correct --params"),
        ({"params": {"max_depth": "deep"}}, "Got 'deep' instead; correct --params"),
        ({"search": "gird"}, "no search 'gird'; use grid, random, halving; did you mean grid"),
        ({"search": "grid", "search_space": {"max_dept": [1]}}, "has no parameter 'max_dept'"),
        ({"search": "grid", "search_space": {"max_depth": 3}}, "must be a list of values"),
        (
            {"search": "grid", "search_space": {"max_depth": {"low": 1, "high": 3}}},
            "A grid takes a list of values for 'max_depth'",
        ),
        (
            {"search": "random", "search_space": {"max_depth": {"low": 3, "high": 1}}},
            "The range of 'max_depth' must have a low below its high",
        ),
        (
            {
                "search": "grid",
                "search_space": {"max_depth": list(range(1, 201)), "max_leaf_nodes": [*range(2, 99)]},
            },
            "The grid has 19,400 candidates",
        ),
        ({"search": "random", "search_scoring": "roc-auc"}, "no scoring 'roc-auc'; did you mean roc_auc"),
        ({"search": "random", "search_iterations": 0}, "--search-iterations must be 1 or more"),
        ({"search": "random", "search_folds": 1}, "--search-folds must be 2 or more"),
        ({"calibrate": "sigmoidal"}, "no calibration 'sigmoidal'; use sigmoid or isotonic; did you mean"),
        ({"cross_validate": 1}, "--cross-validate must be 2 or more"),
        ({"model": "ridge", "calibrate": "sigmoid"}, "ridge predicts an amount here"),
        ({"model": "KNeighborsClassifier", "weight": "items"}, "takes no sample weights"),
        ({"model": "MultiTaskLasso"}, "MultiTaskLasso learns several targets at once"),
        ({"model": "GaussianNB", "search": "grid"}, "What parameters of GaussianNB are to be tried"),
    ],
)
def test_what_the_model_does_not_take_is_refused_before_any_row_is_read(
    choices: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        check_model(FitChoices(**{"targets": ("returned",), "model": TREE, **choices}))


@pytest.mark.parametrize("kind", ["grid", "random", "halving"])
def test_a_search_fits_the_best_candidate_and_reports_all(kind: str) -> None:
    space = {"max_depth": [1, 2, 4], "min_samples_leaf": [5, 20]}
    fitted = fit_shop(ROWS, model=TREE, search=kind, search_space=space, search_iterations=4, search_folds=3)
    report = fitted.metrics["search"]
    best = report["best_params"]
    assert fitted.pipeline[-1].get_params() | best == fitted.pipeline[-1].get_params()
    assert report["kind"] == kind
    assert report["candidates"][0]["params"] == best
    assert report["tried"] >= (6 if kind == "grid" else 4)
    assert all(0 <= candidate["std"] <= 1 for candidate in report["candidates"])
    if kind != "halving":
        assert report["best_score"] == max(candidate["mean"] for candidate in report["candidates"])
    assert json.loads(pack(fitted)[METRICS_FILE])["search"] == report


def test_a_search_sees_no_row_that_is_held_out() -> None:
    report = fit_shop(ROWS, model=TREE, search="grid").metrics["search"]
    assert report["rows"] == 240


def test_ranges_are_drawn_from() -> None:
    space = {"C": {"low": 0.01, "high": 1.0, "log": True}, "max_iter": {"low": 500, "high": 600}}
    fitted = fit_shop(
        ROWS, model="logistic_regression", search="random", search_space=space, search_iterations=3
    )
    assert fitted.metrics["search"]["tried"] == 3
    assert 0.01 <= fitted.pipeline[-1].C <= 1
    assert 500 <= fitted.pipeline[-1].max_iter <= 600


def test_a_search_finds_the_parameters_of_a_model_behind_its_own_preparation() -> None:
    fitted = fit_shop(ROWS, model="MultinomialNB", search="grid", search_space={"alpha": [0.1, 1.0]})
    assert fitted.pipeline[-1][-1].alpha == fitted.metrics["search"]["best_params"]["alpha"]


def test_the_same_seed_searches_the_same() -> None:
    one, two = (fit_shop(ROWS, model=TREE, search="random", search_iterations=3) for _ in range(2))
    assert one.metrics == two.metrics
    assert one.golden == two.golden


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_calibrated_model_round_trips(method: str) -> None:
    fitted = fit_shop(ROWS, model="LinearSVC", calibrate=method)
    assert isinstance(fitted.pipeline[-1], CalibratedClassifierCV)
    names = [column.name for column in fitted.manifest.outputs]
    assert names == ["prediction", "proba_false", "proba_true"]
    assert open_again(fitted).score(ROWS).outputs.num_rows == 300


def test_calibration_keeps_the_features_of_its_base() -> None:
    fitted = fit_shop(ROWS, model="random_forest", params={"n_estimators": 3}, calibrate="sigmoid")
    plain = fit_shop(ROWS, model="random_forest", params={"n_estimators": 3})
    assert fitted.manifest.transformed == plain.manifest.transformed
    assert fitted.manifest.features == plain.manifest.features
    open_again(fitted)


def test_cross_validation_predicts_every_row_by_a_model_that_did_not_see_it() -> None:
    fitted = fit_shop(ROWS, model="KNeighborsClassifier", params={"n_neighbors": 1}, cross_validate=5)
    assert fitted.metrics["split"] == {
        "kind": "cross_validation",
        "folds": 5,
        "stratified": True,
        "seed": 0,
    }
    assert fitted.metrics["rows_measured"] == 300
    # Its own nearest neighbour is the row itself: seen rows would all be predicted right.
    assert fitted.metrics["accuracy"] < 1


def test_more_parts_than_rows_of_a_class_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be cross-validated: its rarest class has"):
        fit_shop(ROWS, model=TREE, cross_validate=200)


def test_out_of_sample_rows_carry_their_ids_and_every_output() -> None:
    fitted = fit_shop(ROWS, model=TREE, cross_validate=3, keep_out_of_sample=True)
    table = fitted.out_of_sample
    assert table is not None
    assert table.column_names == ["id", "prediction", "proba_false", "proba_true"]
    assert table.column("id").to_pylist() == list(range(300))
    held = fit_shop(ROWS, model=TREE, keep_out_of_sample=True).out_of_sample
    assert held is not None
    assert held.num_rows == 60
    assert fit_shop(ROWS, model=TREE).out_of_sample is None


def test_out_of_sample_rows_without_ids_are_numbered_as_the_source_has_them() -> None:
    returned = pa.array([None if row < 30 else row % 2 == 0 for row in range(300)])
    table = ROWS.set_column(ROWS.schema.get_field_index("returned"), "returned", returned)
    columns = [
        column.model_copy(update={"nullable": True}) if column.name == "returned" else column
        for column in SHOP_COLUMNS
    ]
    choices = FitChoices(targets=("returned",), model=TREE, cross_validate=2, keep_out_of_sample=True)
    out_of_sample = fit_model(table, columns=columns, choices=choices).out_of_sample
    assert out_of_sample is not None
    assert out_of_sample.column("row").to_pylist() == list(range(30, 300))


def test_an_id_that_is_called_like_an_output_is_refused_not_overwritten() -> None:
    table = ROWS.rename_columns(["prediction" if name == "id" else name for name in ROWS.schema.names])
    columns = [
        column.model_copy(update={"name": "prediction"}) if column.name == "id" else column
        for column in SHOP_COLUMNS
    ]
    choices = FitChoices(
        targets=("returned",), id_columns=("prediction",), model=TREE, keep_out_of_sample=True
    )
    with pytest.raises(UsageError, match="id column 'prediction' is called like an output"):
        fit_model(table, columns=columns, choices=choices)
    fit_model(table, columns=columns, choices=replace(choices, keep_out_of_sample=False))


def test_figures_of_more_rows_than_are_held_out_from_are_said_to_be_of_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (fitted_models, out_of_sample_rows):
        monkeypatch.setattr(module, "MAX_EVALUATED_ROWS", 200)
    fitted = fit_shop(ROWS, model=TREE)
    assert fitted.metrics["rows_measured"] == 40
    assert any("saw 200 of the 300 rows, less the 20% of them" in note for note in fitted.warnings)
    whole = fit_shop(ROWS, model=TREE, cross_validate=2).warnings
    assert not any("a twin of the model that saw" in note for note in whole)


def test_a_candidate_that_cannot_be_fitted_costs_only_itself() -> None:
    space = {"solver": ["liblinear", "newton-cholesky"], "l1_ratio": [0.0, 1.0]}
    fitted = fit_shop(ROWS, model="LogisticRegression", search="grid", search_space=space)
    means = [candidate["mean"] for candidate in fitted.metrics["search"]["candidates"]]
    assert None in means
    assert fitted.metrics["search"]["best_score"] is not None


def test_a_search_of_which_nothing_can_be_fitted_is_refused() -> None:
    space = {"solver": ["newton-cholesky"], "l1_ratio": [1.0]}
    with pytest.raises(Refused, match="LogisticRegression cannot be fitted"):
        fit_shop(ROWS, model="LogisticRegression", search="grid", search_space=space)
