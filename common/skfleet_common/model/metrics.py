"""Metrics: how well a model does on rows that it was not fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split

from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.manifest import Learning, Target
from skfleet_common.model.predictor import Predictor

HOLDOUT_SHARE = 0.2

#: More rows do not move the figures, but the time to fit twice.
MAX_EVALUATED_ROWS = 100_000

#: With fewer rows, a figure says more about the split than about the model.
MIN_EVALUATED_ROWS = 50


def holdout_metrics(
    estimator: Any,
    X: FloatArray,
    y: npt.NDArray[Any],
    *,
    target: Target,
    weights: FloatArray | None,
    seed: int,
) -> dict[str, Any]:
    """Fit a copy of ``estimator`` on four fifths of the rows, and measure it on the others.

    The model of the bundle is fitted on all rows; these figures are of its twin.
    """
    if len(X) < MIN_EVALUATED_ROWS:
        return {"skipped": f"fewer than {MIN_EVALUATED_ROWS} rows"}
    chosen = np.arange(len(X))
    if len(X) > MAX_EVALUATED_ROWS:
        chosen = np.random.default_rng(seed).choice(len(X), MAX_EVALUATED_ROWS, replace=False)
    fitted, held = train_test_split(
        chosen, test_size=HOLDOUT_SHARE, random_state=seed, stratify=_strata(y[chosen], target)
    )
    if target.learning is Learning.CLASSIFICATION and len(np.unique(y[fitted])) < len(np.unique(y)):
        return {"skipped": "a class is too rare to be in both parts of the rows"}
    twin = clone(estimator)
    twin.fit(X[fitted], y[fitted], sample_weight=None if weights is None else weights[fitted])
    predictor = Predictor(twin, target)
    figures = {
        "split": {"kind": "holdout", "share": HOLDOUT_SHARE, "seed": seed},
        "rows_fitted": len(fitted),
        "rows_measured": len(held),
    }
    if target.learning is Learning.REGRESSION:
        return figures | _of_regression(y[held], predictor.predict(X[held]))
    return figures | _of_classification(y[held], predictor, X[held])


def _strata(y: npt.NDArray[Any], target: Target) -> npt.NDArray[Any] | None:
    if target.learning is Learning.REGRESSION:
        return None
    _, counts = np.unique(y, return_counts=True)
    # train_test_split wants every stratum in both parts, and no fewer held rows than strata.
    fits = counts.min() > 1 and len(counts) <= HOLDOUT_SHARE * len(y)
    return y if fits else None


def _of_regression(y: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> dict[str, Any]:
    return {
        "r2": float(r2_score(y, predicted)),
        "rmse": float(np.sqrt(mean_squared_error(y, predicted))),
        "mae": float(mean_absolute_error(y, predicted)),
    }


def _of_classification(y: npt.NDArray[Any], predictor: Predictor, X: FloatArray) -> dict[str, Any]:
    probabilities = predictor.predict_proba(X)
    labels = predictor.classes
    codes = np.searchsorted(labels.astype(y.dtype), y)
    figures = {
        "accuracy": float(accuracy_score(y, predictor.label(X, probabilities).astype(y.dtype))),
        "log_loss": float(log_loss(codes, probabilities, labels=np.arange(len(labels)))),
    }
    if len(labels) == 2 and len(np.unique(codes)) == 2:  # noqa: PLR2004  (a ROC curve is of two classes)
        figures["roc_auc"] = float(roc_auc_score(codes, probabilities[:, 1]))
        figures["brier"] = float(np.mean((probabilities[:, 1] - codes) ** 2))
    return figures
