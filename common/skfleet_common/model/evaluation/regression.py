"""Regression: how far predicted amounts are off."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.evaluation.weighted import mean, ones_unless, parts, quantiles
from skfleet_common.model.out_of_sample import OutOfSample

#: The shares of rows below which a residual is told.
RESIDUAL_QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)

_BARS = 30
_BINS = 20


def of_regression(held: OutOfSample) -> dict[str, Any]:
    """Give the figures of predicted amounts; a residual is what was there less what was predicted."""
    finite = np.isfinite(held.predicted.astype(np.float64))
    y = held.y.astype(np.float64)[finite]
    predicted = held.predicted.astype(np.float64)[finite]
    weights = ones_unless(held.weights, len(held.y))[finite]
    if len(y) == 0 or weights.sum() <= 0:
        return {}
    residuals = y - predicted
    at = quantiles(residuals, weights, RESIDUAL_QUANTILES)
    return {
        "r2": float(r2_score(y, predicted, sample_weight=weights)) if len(y) > 1 else None,
        "rmse": float(np.sqrt(mean_squared_error(y, predicted, sample_weight=weights))),
        "mae": float(mean_absolute_error(y, predicted, sample_weight=weights)),
        "medae": quantiles(np.abs(residuals), weights, [0.5])[0],
        "residual_quantiles": [
            {"share": share, "residual": residual}
            for share, residual in zip(RESIDUAL_QUANTILES, at, strict=True)
        ],
        "residual_histogram": _histogram(residuals, weights),
        "predicted_vs_actual": [
            {
                "rows": len(rows),
                "predicted": mean(predicted[rows], weights[rows]),
                "actual": mean(y[rows], weights[rows]),
                "low": quantiles(y[rows], weights[rows], [0.1])[0],
                "high": quantiles(y[rows], weights[rows], [0.9])[0],
            }
            for rows in parts(np.argsort(predicted, kind="stable"), weights, _BINS)
        ],
    }


def _histogram(residuals: FloatArray, weights: FloatArray) -> dict[str, Any]:
    """Give bars between the 1st and 99th percentile; what is beyond stands in the outer ones."""
    low, high = quantiles(residuals, weights, [0.01, 0.99])
    if not low < high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BARS + 1)
    counts, _ = np.histogram(np.clip(residuals, low, high), bins=edges, weights=weights)
    return {"edges": edges.tolist(), "weights": counts.tolist()}
