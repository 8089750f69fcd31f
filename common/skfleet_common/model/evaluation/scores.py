"""Scores: how a model's outputs were distributed, against which later jobs can be held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.baselines import ScoreHistogram
from skfleet_common.model.out_of_sample import OutOfSample

#: A histogram a class is of no use to anybody beyond this many.
MAX_HISTOGRAMS = 20

_BARS = 20


def held_scores(held: Sequence[OutOfSample], outputs: Sequence[OutputColumn]) -> dict[str, FloatArray]:
    """Give the numeric outputs of rows that were held out, by output column."""
    columns: dict[str, FloatArray] = {}
    names = iter(column.name for column in outputs)
    for of_target in held:
        name, predicted = next(names), np.asarray(of_target.predicted)
        if predicted.dtype == np.float64:
            columns[name] = predicted
        scores = of_target.probabilities if of_target.decisions is None else of_target.decisions
        if scores is not None:
            columns |= {next(names): values for values in scores.T}
    return columns


def scored_columns(outputs: pa.RecordBatch) -> dict[str, FloatArray]:
    """Give the numeric ones of a scorer's outputs."""
    return {
        name: outputs.column(name).to_numpy()
        for name in outputs.schema.names
        if pa.types.is_floating(outputs.column(name).type)
    }


def score_histograms(columns: dict[str, FloatArray]) -> tuple[ScoreHistogram, ...]:
    """Give edges and the share of rows between two of them, by output.

    What is a probability is counted by twentieths; other scores between their extremes. Later ones may be
    beyond these, and then count to the outer bar.
    """
    found = []
    for name, values in list(columns.items())[:MAX_HISTOGRAMS]:
        finite = values[np.isfinite(values)]
        if len(finite):
            found.append(_histogram(name, finite))
    return tuple(found)


def _histogram(name: str, values: FloatArray) -> ScoreHistogram:
    low, high = float(values.min()), float(values.max())
    if low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif not low < high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BARS + 1)
    counts, _ = np.histogram(values, bins=edges)
    shares = (counts / len(values)).tolist()
    return ScoreHistogram(output=name, edges=tuple(edges.tolist()), shares=tuple(shares), rows=len(values))
