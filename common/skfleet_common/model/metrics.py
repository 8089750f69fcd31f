"""Metrics: how well a model does on rows that it was not fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)

from skfleet_common.model.classes import class_values
from skfleet_common.model.manifest import Target
from skfleet_common.model.out_of_sample import OutOfSample


def evaluate(held: OutOfSample, target: Target) -> dict[str, Any]:
    """Give the figures of one target, ready for JSON."""
    figures = {"split": held.split, "rows_fitted": held.rows_fitted, "rows_measured": len(held.y)}
    return figures | (_of_regression(held) if target.classes is None else _of_classification(held, target))


def _of_regression(held: OutOfSample) -> dict[str, Any]:
    return {
        "r2": float(r2_score(held.y, held.predicted)),
        "rmse": float(np.sqrt(mean_squared_error(held.y, held.predicted))),
        "mae": float(mean_absolute_error(held.y, held.predicted)),
    }


def _of_classification(held: OutOfSample, target: Target) -> dict[str, Any]:
    labels = class_values(target)
    codes = np.searchsorted(labels.astype(held.y.dtype), held.y)
    figures = {"accuracy": float(accuracy_score(held.y, held.predicted.astype(held.y.dtype)))}
    if held.probabilities is None:
        return figures
    figures["log_loss"] = float(log_loss(codes, held.probabilities, labels=np.arange(len(labels))))
    if len(labels) == 2 and len(np.unique(codes)) == 2:  # noqa: PLR2004  (a ROC curve is of two classes)
        figures["roc_auc"] = float(roc_auc_score(codes, held.probabilities[:, 1]))
        figures["brier"] = float(np.mean((held.probabilities[:, 1] - codes) ** 2))
    return figures
