"""Scores: how a model's outputs were distributed, against which later jobs can be held."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from skfleet_common.model.arrays import FloatArray

#: A histogram a class is of no use to anybody beyond this many.
MAX_HISTOGRAMS = 20

_BARS = 20


def score_histograms(outputs: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """Give, for each numeric output, edges and the share of rows between two of them.

    Probabilities are counted by twentieths; other scores between their extremes, of which those later may
    be beyond: what is, counts to the outer bar.
    """
    found = []
    for name in outputs.schema.names[: MAX_HISTOGRAMS + 1]:
        column = outputs.column(name)
        if not pa.types.is_floating(column.type):
            continue
        values = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
        finite = values[np.isfinite(values)]
        if len(finite):
            found.append({"output": name, **_histogram(finite)})
    return found


def _histogram(values: FloatArray) -> dict[str, Any]:
    low, high = float(values.min()), float(values.max())
    if low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BARS + 1)
    counts, _ = np.histogram(values, bins=edges)
    return {"edges": edges.tolist(), "shares": (counts / len(values)).tolist()}
