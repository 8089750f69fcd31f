"""Weighted: means, quantiles and bins of rows that count for more or less than one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skfleet_common.model.arrays import FloatArray

#: Curves are drawn from at most this many points.
MAX_POINTS = 200


def ones_unless(weights: FloatArray | None, rows: int) -> FloatArray:
    """Give the weights, or 1 for every row."""
    return np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)


def mean(values: npt.NDArray[Any], weights: FloatArray) -> float:
    """Give the weighted mean; NaN where nothing has weight."""
    total = float(weights.sum())
    return float(np.dot(values, weights) / total) if total > 0 else float("nan")


def quantiles(values: FloatArray, weights: FloatArray, at: Sequence[float]) -> list[float]:
    """Give the values below which these shares of the weight are; without rows NaN."""
    if len(values) == 0 or weights.sum() <= 0:
        return [float("nan")] * len(at)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    positions = np.searchsorted(reached, np.asarray(at) * reached[-1], side="left")
    found: list[float] = values[order][np.minimum(positions, len(values) - 1)].tolist()
    return found


def parts(order: npt.NDArray[np.intp], weights: FloatArray, count: int) -> list[npt.NDArray[np.intp]]:
    """Cut rows, in an order, into at most ``count`` parts of about the same weight, none of them empty."""
    reached = np.cumsum(weights[order])
    if len(order) == 0 or reached[-1] <= 0:
        return []
    middles = (reached - weights[order] / 2) / reached[-1]
    numbers = np.minimum((middles * count).astype(np.int64), count - 1)
    return [order[numbers == number] for number in range(count) if (numbers == number).any()]


def thinned(*columns: npt.NDArray[Any]) -> list[list[float]]:
    """Give at most :data:`MAX_POINTS` points of a curve, its ends among them."""
    rows = len(columns[0])
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, MAX_POINTS)).round().astype(np.int64))
    return [np.asarray(column, dtype=np.float64)[chosen].tolist() for column in columns]
