"""Scoring gives the same bits however the rows are cut, and what scikit-learn's own predict gives."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.svm import SVC

from model_samples import CITY, as_driver_gives, fit_shop, open_again, shop_rows
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.manifest import Learning, Levels, Target
from skfleet_common.model.predictor import Predictor
from skfleet_common.model.refusals import NullRefused, UnseenLevel
from skfleet_common.model.scoring import Reject

TREES = ["gradient_boosting", "random_forest", "extra_trees"]


@pytest.fixture(scope="module", params=list(zip(TREES, ("returned", "amount", CITY), strict=True)), ids=str)
def trees(request: pytest.FixtureRequest) -> Bundle:
    model, target = request.param
    return open_again(fit_shop(model=model, target=target))


def _joined(parts: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(parts)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_trees_score_any_split_of_the_rows_exactly_as_all_at_once(
    trees: Bundle, seed: int, cuts: list[int]
) -> None:
    table = shop_rows(60, seed=seed)
    ends = sorted({0, *cuts, 60})
    parts = [trees.score(table.slice(first, stop - first)).outputs for first, stop in pairwise(ends)]
    assert _joined(parts).equals(_joined([trees.score(table).outputs]))


@pytest.mark.parametrize(("model", "target"), [("logistic_regression", CITY), ("ridge", "amount")])
def test_linear_models_score_any_split_within_rounding(model: str, target: str) -> None:
    bundle = open_again(fit_shop(model=model, target=target))
    table = shop_rows(200, seed=9)
    whole = bundle.score(table).outputs
    parts = _joined([bundle.score(table.slice(row, 1)).outputs for row in range(200)])
    name = whole.schema.names[-1]
    assert np.allclose(parts.column(name).to_numpy(), whole.column(name).to_numpy(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("model", [*TREES, "logistic_regression"])
def test_a_worker_gives_the_bits_that_a_data_frame_gives(model: str) -> None:
    bundle = open_again(fit_shop(model=model, target="shelf"))
    table = shop_rows(150, seed=4)
    frame, outputs = as_driver_gives(table), bundle.score(table).outputs
    probabilities = np.column_stack([outputs.column(i).to_numpy() for i in range(1, outputs.num_columns)])
    assert np.array_equal(probabilities, bundle.predict_proba(frame))
    assert outputs.column("prediction").to_pylist() == bundle.predict(frame).tolist()


@pytest.mark.parametrize("model", [*TREES, "logistic_regression"])
def test_predictions_are_those_of_the_estimator_itself(model: str) -> None:
    bundle = open_again(fit_shop(model=model))
    frame = as_driver_gives(shop_rows(300, seed=8))
    expected = bundle.pipeline.named_steps["model"].predict(bundle.features(frame))
    assert np.array_equal(bundle.predict(frame), expected)


def test_a_class_too_close_to_call_is_the_one_that_the_estimator_names() -> None:
    rows = np.arange(200.0).reshape(-1, 1)
    estimator = HistGradientBoostingClassifier(max_iter=1).fit(rows, np.arange(200) % 2 == 0)
    # A raw score above zero by less than a probability of one half can show.
    estimator._baseline_prediction = np.array([[1e-17]])
    estimator._predictors = []
    classes = Levels(dtype=LogicalDtype.BOOLEAN, values=(False, True))
    target = Target(column="y", dtype=LogicalDtype.BOOLEAN, learning=Learning.CLASSIFICATION, classes=classes)
    assert estimator.predict_proba(rows).tolist() == [[0.5, 0.5]] * 200
    assert (
        Predictor(estimator, target).predict(rows).tolist()
        == estimator.predict(rows).tolist()
        == [True] * 200
    )


def test_an_estimator_with_a_rule_of_its_own_is_asked() -> None:
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(60, 2)), np.arange(60) % 3
    classes = Levels(dtype=LogicalDtype.INTEGER, values=(0, 1, 2))
    target = Target(column="y", dtype=LogicalDtype.INTEGER, learning=Learning.CLASSIFICATION, classes=classes)

    class Contrary(SVC):
        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return np.tile([0.0, 0.0, 1.0], (len(X), 1))

    estimator = Contrary().fit(rows, labels)
    assert np.array_equal(Predictor(estimator, target).predict(rows), estimator.predict(rows))


def test_no_rows_score_to_no_rows_of_the_same_columns(trees: Bundle) -> None:
    scored = trees.score(shop_rows(0))
    assert scored.outputs.num_rows == 0
    assert scored.outputs.schema == trees.score(shop_rows(3)).outputs.schema
    assert len(trees.predict(as_driver_gives(shop_rows(0)))) == 0


def test_a_regression_has_no_probabilities() -> None:
    bundle = open_again(fit_shop(target="amount"))
    with pytest.raises(UsageError, match="'amount', which has no probabilities"):
        bundle.predict_proba(as_driver_gives(shop_rows(3)))


def test_rows_are_rejected_by_policy_and_the_others_scored_as_if_alone() -> None:
    policies = {"null_policy": {"items": "reject_row"}, "unseen_policy": {CITY: "reject_row"}}
    bundle = open_again(fit_shop(shop_rows(500), **policies))
    table = shop_rows(6, seed=2, nulls=0)
    items = pa.array([None, 1, 2, 3, 4, 5], pa.int32())
    city = pa.array(["Ulm", "Ulm", "Atlantis", None, "Ulm", "Ulm"])
    score = pa.array([0.0, 0.0, 0.0, 0.0, float("inf"), 0.0])
    for name, values in {"items": items, CITY: city, "score": score}.items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    scored = bundle.score(table)
    assert scored.rejected == [
        Reject(0, "items is NULL"),
        Reject(2, f"{CITY} holds a level that the model never saw"),
        Reject(4, "score is infinite or too large", quarantined=True),
    ]
    assert scored.kept.tolist() == [False, True, False, True, False, True]
    assert scored.outputs.equals(bundle.score(table.filter(pa.array(scored.kept))).outputs)
    with pytest.raises(Refused, match="rejects 3 rows of the frame"):
        bundle.predict(as_driver_gives(table))


def test_an_infinite_value_does_not_spoil_the_rows_beside_it_in_a_linear_model() -> None:
    bundle = open_again(fit_shop(model="logistic_regression"))
    table = shop_rows(4, seed=2, nulls=0)
    broken = table.set_column(
        table.schema.get_field_index("score"), "score", pa.array([float("-inf"), 0.5, 1e300, 1.0])
    )
    scored = bundle.score(broken)
    assert [reject.row for reject in scored.rejected] == [0, 2]
    assert np.isfinite(scored.outputs.column("proba_true").to_numpy()).all()


def test_nulls_and_unseen_levels_stop_scoring_where_the_policy_is_error() -> None:
    bundle = open_again(fit_shop(shop_rows(nulls=0), null_policy="error", unseen_policy="error"))
    table = shop_rows(5, nulls=0)
    nulls = table.set_column(table.schema.get_field_index("items"), "items", pa.nulls(5, pa.int32()))
    with pytest.raises(NullRefused, match="'items' is NULL in 5 rows"):
        bundle.score(nulls)
    cities = pa.array(["Atlantis", *["Ulm"] * 4])
    unseen = table.set_column(table.schema.get_field_index(CITY), CITY, cities)
    with pytest.raises(UnseenLevel, match="never saw in 1 row, but") as refused:
        bundle.score(unseen)
    assert "Atlantis" not in str(refused.value)
