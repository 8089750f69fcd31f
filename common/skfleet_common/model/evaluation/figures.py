"""Figures: everything that is measured of one target, flat on top, tables and curves below."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from skfleet_common.model.evaluation.classification import of_classification
from skfleet_common.model.evaluation.regression import of_regression
from skfleet_common.model.manifest import Target
from skfleet_common.model.out_of_sample import OutOfSample


def evaluate(held: OutOfSample, target: Target) -> dict[str, Any]:
    """Give the figures of one target: numbers are finite or null, and weighted where weights are.

    Rows of no weight are none.
    """
    held = _that_count(held)
    figures: dict[str, Any] = {
        "split": held.split,
        "rows_fitted": held.rows_fitted,
        "rows_measured": len(held.y),
        "weighted": held.weights is not None,
    }
    if not len(held.y):
        return figures | {"skipped": "every row that was held out has the weight 0"}
    measured = of_regression(held) if target.classes is None else of_classification(held, target)
    cleaned: dict[str, Any] = as_json(figures | measured)
    return cleaned


def _that_count(held: OutOfSample) -> OutOfSample:
    """Leave out rows of no weight, of which scikit-learn's figures divide nothing by nothing."""
    if held.weights is None or held.weights.all():
        return held
    kept = held.weights > 0
    return replace(
        held,
        rows=held.rows[kept],
        y=held.y[kept],
        predicted=held.predicted[kept],
        probabilities=None if held.probabilities is None else held.probabilities[kept],
        decisions=None if held.decisions is None else held.decisions[kept],
        weights=held.weights[kept],
    )


def as_json(value: Any) -> Any:
    """Give a value as JSON can hold it: no numpy types, and null for what is not finite."""
    if isinstance(value, dict):
        return {str(name): as_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [as_json(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
