"""The figures of a model are scikit-learn's own, weighted, finite or null, and ready for JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from model_samples import CITY, fit_shop, shop_rows
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.evaluation import evaluate
from skfleet_common.model.evaluation.importance import measured_importance, permutation_importance
from skfleet_common.model.evaluation.scores import score_histograms
from skfleet_common.model.manifest import Learning, Levels, Target
from skfleet_common.model.out_of_sample import OutOfSample
from skfleet_common.model.predictor import Predictor, Scores

YES_NO = Levels(dtype=LogicalDtype.TEXT, values=("no", "yes"))
BINARY = Target(column="t", dtype=LogicalDtype.TEXT, learning=Learning.CLASSIFICATION, classes=YES_NO)
AMOUNT = Target(column="t", dtype=LogicalDtype.FLOAT64, learning=Learning.REGRESSION)


def of_three(names: tuple[str, ...] = ("a", "b", "c")) -> Target:
    levels = Levels(dtype=LogicalDtype.TEXT, values=names)
    return BINARY.model_copy(update={"classes": levels})


def held_of(y: Any, predicted: Any, probabilities: Any = None, weights: Any = None) -> OutOfSample:
    return OutOfSample(
        rows=np.arange(len(y)),
        y=np.asarray(y),
        predicted=np.asarray(predicted),
        probabilities=None if probabilities is None else np.asarray(probabilities, dtype=float),
        weights=None if weights is None else np.asarray(weights, dtype=float),
        split={"kind": "holdout"},
        rows_fitted=7,
    )


def binary_held(seed: int, *, weights: bool = False, rows: int = 300) -> OutOfSample:
    random = np.random.default_rng(seed)
    second = random.uniform(size=rows).round(2)
    y = np.where(random.uniform(size=rows) < second, "yes", "no").astype(object)
    predicted = np.where(second > 0.5, "yes", "no").astype(object)
    weighted = random.integers(0, 4, rows) if weights else None
    return held_of(y, predicted, np.column_stack([1 - second, second]), weighted)


@pytest.mark.parametrize("weights", [False, True])
def test_binary_figures_are_those_of_scikit_learn(weights: bool) -> None:
    held = binary_held(1, weights=weights)
    figures = evaluate(held, BINARY)
    is_yes, second, w = held.y == "yes", np.asarray(held.probabilities)[:, 1], held.weights
    assert figures["roc_auc"] == metrics.roc_auc_score(is_yes, second, sample_weight=w)
    assert figures["average_precision"] == metrics.average_precision_score(is_yes, second, sample_weight=w)
    assert figures["log_loss"] == pytest.approx(metrics.log_loss(is_yes, second, sample_weight=w), rel=1e-12)
    assert figures["brier"] == pytest.approx(metrics.brier_score_loss(is_yes, second, sample_weight=w))
    assert figures["accuracy"] == metrics.accuracy_score(held.y, held.predicted, sample_weight=w)
    counts = metrics.confusion_matrix(held.y, held.predicted, labels=["no", "yes"], sample_weight=w)
    assert figures["confusion"] == {"classes": ["no", "yes"], "counts": counts.tolist()}
    assert (figures["weighted"], figures["positive_class"]) == (weights, "yes")
    assert sum(row["rows"] for row in figures["deciles"]) == (len(held.y) if w is None else (w > 0).sum())
    assert figures["deciles"][-1]["cumulative_positives"] == pytest.approx(1.0)
    assert figures["deciles"][0]["lift"] > 1 > figures["deciles"][-1]["lift"]


def test_a_weight_of_two_counts_as_a_row_that_is_there_twice() -> None:
    held = binary_held(2, weights=True)
    times = np.asarray(held.weights).astype(int)
    repeated = held_of(
        held.y.repeat(times),
        held.predicted.repeat(times),
        np.asarray(held.probabilities).repeat(times, axis=0),
    )
    one, other = evaluate(held, BINARY), evaluate(repeated, BINARY)
    for name in ("roc_auc", "average_precision", "log_loss", "brier", "accuracy"):
        assert one[name] == pytest.approx(other[name], rel=1e-9)
    for left, right in zip(one["calibration"], other["calibration"], strict=True):
        assert left["observed"] == pytest.approx(right["observed"])


def test_of_several_classes_each_counts_the_same() -> None:
    X, codes = load_iris(return_X_y=True)
    y = np.array(["a", "b", "c"], dtype=object)[codes]
    model = LogisticRegression(max_iter=500).fit(X[::2], y[::2])
    probabilities = model.predict_proba(X[1::2])
    figures = evaluate(held_of(y[1::2], model.predict(X[1::2]), probabilities), of_three())
    expected = metrics.roc_auc_score(y[1::2], probabilities, multi_class="ovr", average="macro")
    assert figures["roc_auc"] == pytest.approx(expected)
    assert [row["class"] for row in figures["by_class"]] == ["a", "b", "c"]
    assert len(figures["roc_curve"]) == 3
    assert figures["brier"] == pytest.approx(
        metrics.brier_score_loss(y[1::2], probabilities, labels=["a", "b", "c"], scale_by_half=False)
    )


def test_a_class_that_no_held_row_has_leaves_figures_of_the_others() -> None:
    y = np.array(["a", "b"] * 20, dtype=object)
    probabilities = np.tile([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]], (20, 1))
    figures = evaluate(held_of(y, y, probabilities), of_three())
    assert [row["class"] for row in figures["by_class"]] == ["a", "b"]
    assert figures["class_balance"][2] == {"class": "c", "rows": 0, "share": 0.0, "predicted_share": 0.0}


def test_rows_of_one_class_have_no_curves_but_the_rest() -> None:
    figures = evaluate(held_of(["yes"] * 5, ["yes"] * 5, [[0.1, 0.9]] * 5), BINARY)
    assert "roc_auc" not in figures
    assert figures["accuracy"] == 1.0
    assert figures["calibration"][0]["observed"] == 1.0


def test_decision_values_have_curves_but_no_probabilities() -> None:
    held = binary_held(3)
    decisions = np.asarray(held.probabilities)[:, 1:] * 8 - 4
    only = OutOfSample(**{**vars(held), "probabilities": None, "decisions": decisions})
    figures = evaluate(only, BINARY)
    assert figures["roc_auc"] == pytest.approx(evaluate(held, BINARY)["roc_auc"])
    assert not {"log_loss", "brier", "calibration"} & set(figures)


@pytest.mark.parametrize("weights", [False, True])
def test_regression_figures_are_those_of_scikit_learn(weights: bool) -> None:
    random = np.random.default_rng(0)
    y = random.normal(size=400)
    predicted = y + random.normal(scale=0.3, size=400)
    w = random.integers(1, 4, 400).astype(float) if weights else None
    figures = evaluate(held_of(y, predicted, weights=w), AMOUNT)
    assert figures["r2"] == metrics.r2_score(y, predicted, sample_weight=w)
    assert figures["rmse"] == metrics.root_mean_squared_error(y, predicted, sample_weight=w)
    assert figures["mae"] == metrics.mean_absolute_error(y, predicted, sample_weight=w)
    expected = metrics.median_absolute_error(y, predicted, sample_weight=w)
    assert figures["medae"] == pytest.approx(expected, rel=0.02)
    residuals = [row["residual"] for row in figures["residual_quantiles"]]
    assert residuals == sorted(residuals)
    assert (residuals[0], residuals[-1]) == ((y - predicted).min(), (y - predicted).max())
    total = 400 if w is None else w.sum()
    assert sum(figures["residual_histogram"]["weights"]) == pytest.approx(total)
    assert sum(row["rows"] for row in figures["predicted_vs_actual"]) == 400


@pytest.mark.parametrize("target", [BINARY, of_three(), AMOUNT])
@pytest.mark.parametrize("weightless", ["none", "a class", "all"])
def test_rows_of_no_weight_are_none(target: Target, weightless: str) -> None:
    random = np.random.default_rng(4)
    if target.classes is None:
        y = random.normal(size=60)
        of_class, predicted, probabilities = y > 0, y + 0.1, None
    else:
        labels = np.array(target.classes.values, dtype=object)
        codes = random.integers(0, len(labels), 60)
        y, of_class, predicted = labels[codes], codes == 1, labels[codes]
        probabilities = random.dirichlet(np.ones(len(labels)), 60)
    counts = {"none": np.ones(60, bool), "a class": ~of_class, "all": np.zeros(60, bool)}[weightless]
    # Whatever is predicted of rows that do not count.
    odd = predicted.copy()
    odd[~counts] = predicted[0]
    weighted = evaluate(held_of(y, odd, probabilities, weights=counts.astype(float)), target)
    if weightless == "all":
        assert (weighted["skipped"], weighted["rows_measured"]) == (
            "every row that was held out has the weight 0",
            0,
        )
        return
    some = None if probabilities is None else probabilities[counts]
    assert weighted | {"weighted": False} == evaluate(held_of(y[counts], predicted[counts], some), target)


@given(
    rows=st.integers(1, 40),
    seed=st.integers(0, 99),
    broken=st.sampled_from([None, np.nan, np.inf]),
    weights=st.booleans(),
)
def test_whatever_is_predicted_the_figures_are_json(
    rows: int, seed: int, broken: float | None, weights: bool
) -> None:
    random = np.random.default_rng(seed)
    w = random.uniform(size=rows).round() if weights else None
    amounts = random.normal(size=rows)
    if broken is not None:
        amounts[0] = broken
    probabilities = random.dirichlet([1, 1], rows)
    if broken is not None:
        probabilities[0] = broken
    y = np.where(random.uniform(size=rows) < 0.5, "yes", "no").astype(object)
    for held, target in [
        (held_of(random.normal(size=rows), amounts, weights=w), AMOUNT),
        (held_of(y, y[::-1], probabilities, weights=w), BINARY),
    ]:
        figures = evaluate(held, target)
        assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_a_curve_has_at_most_two_hundred_points_with_its_ends() -> None:
    random = np.random.default_rng(0)
    second = random.uniform(size=5_000)
    y = np.where(random.uniform(size=5_000) < second, "yes", "no").astype(object)
    curve = evaluate(held_of(y, y, np.column_stack([1 - second, second])), BINARY)["roc_curve"][0]
    assert len(curve["true_positive_rate"]) <= 200
    assert (curve["true_positive_rate"][0], curve["true_positive_rate"][-1]) == (0.0, 1.0)


def test_the_column_that_decides_is_the_most_important_one() -> None:
    X, codes = load_breast_cancer(return_X_y=True)
    labels = np.array(["no", "yes"], dtype=object)[codes]
    data = np.column_stack([X[:, 22], np.random.default_rng(0).normal(size=len(X)), X[:, 27]])
    model = RandomForestClassifier(20, random_state=0).fit(data, labels)
    settings: dict[str, Any] = {
        "targets": [BINARY],
        "scores": Scores.PROBABILITY,
        "weights": None,
        "groups": {"worst": [0, 2], "noise": [1]},
        "seed": 3,
    }
    found = measured_importance(Predictor(model, BINARY), data, [labels], **settings)
    assert found == measured_importance(Predictor(model, BINARY), data, [labels], **settings)
    assert found["score"] == "ROC AUC"
    assert [row["column"] for row in found["columns"]] == ["worst", "noise"]
    assert found["columns"][0]["loss"] > 0.3
    assert abs(found["columns"][1]["loss"]) < 0.05


def test_columns_for_which_there_is_no_time_are_not_measured() -> None:
    clock = iter(range(0, 10_000, 7))
    X = np.random.default_rng(0).normal(size=(50, 6))
    model = LinearRegression().fit(X, X[:, 0])
    found = permutation_importance(
        model.predict,
        X,
        lambda predicted: metrics.r2_score(X[:, 0], predicted),
        groups={str(place): [place] for place in range(6)},
        seed=0,
        now=lambda: float(next(clock)),
    )
    assert [row["repeats"] for row in found] == [1, 1, 0, 0, 0, 0]
    assert found[-1]["loss"] is None


def test_columns_of_a_frame_keep_their_dtypes_when_they_are_dealt_out() -> None:
    frame = pd.DataFrame({"n": [1, 2, 3, 4], "c": pd.Categorical(["x", "y", "x", "z"])})
    seen: list[pd.DataFrame] = []
    permutation_importance(seen.append, frame, lambda _: 0.0, groups={"n": ["n"], "c": ["c"]}, seed=0)
    assert all(one.dtypes.equals(frame.dtypes) for one in seen)
    assert any(one["c"].tolist() != frame["c"].tolist() for one in seen)


def test_histograms_of_probabilities_go_from_nought_to_one() -> None:
    (first, second) = score_histograms({"p": np.array([0.2, 0.21, 0.9]), "x": np.array([5.0, np.nan, 7.0])})
    assert (first.edges[0], first.edges[-1], len(first.shares)) == (0.0, 1.0, 20)
    assert (second.edges[0], second.edges[-1]) == (5.0, 7.0)
    assert sum(first.shares) == pytest.approx(1.0) == sum(second.shares)


@pytest.mark.parametrize("target", ["returned", CITY, "amount"])
def test_a_fit_has_figures_importance_and_histograms(target: str) -> None:
    fitted = fit_shop(shop_rows(300), target=target, weight=None)
    columns = {row["column"] for row in fitted.metrics["importance"]["columns"]}
    assert columns == {feature.column for feature in fitted.manifest.features}
    numeric = {c.name for c in fitted.manifest.outputs if c.warehouse_type == "double precision"}
    assert {histogram.output for histogram in fitted.manifest.scores} == numeric
    json.dumps(fitted.metrics, allow_nan=False)
