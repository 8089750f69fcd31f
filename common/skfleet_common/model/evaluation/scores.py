"""Scores: how a model's outputs were distributed, against which later jobs can be held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.baselines import ScoreHistogram
from skfleet_common.model.out_of_sample import OutOfSample

#: A histogram a class is of no use to anybody beyond this many.
MAX_HISTOGRAMS = 20

_BARS = 20

#: Groups of as many rows each are what jobs are compared in.
_GROUPS = 10

#: A model that gives at most so many different scores is compared by these: fewer than a histogram has bars,
#: so that nobody takes a count of the ones for one of the others.
_FEW = _BARS - 2

#: A score that comes so often on the average is one of a leaf, or a vote.
_REPEATED = 5
_NEARLY_ALL = 0.9

#: Scores that are apart by less are the same but for rounding, relatively.
_SAME = 1e-9


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


def score_histograms(
    columns: Mapping[str, FloatArray], own: Mapping[str, FloatArray] | None = None
) -> tuple[ScoreHistogram, ...]:
    """Give how each output was distributed: a histogram for people, and groups for jobs to be compared in.

    ``own`` are what the model itself gives for training rows, if ``columns`` are of its twins: their few
    values, if they are few, are not quite those of the model. What is a probability is drawn by twentieths,
    other scores between their extremes.
    """
    found = []
    for name, values in list(columns.items())[:MAX_HISTOGRAMS]:
        finite = values[np.isfinite(values)]
        if len(finite):
            found.append(_histogram(name, finite, (own or columns).get(name, values)))
    return tuple(found)


def _histogram(name: str, values: FloatArray, own: FloatArray) -> ScoreHistogram:
    low, high = float(values.min()), float(values.max())
    if low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif not low < high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BARS + 1)
    counts, _ = np.histogram(values, bins=edges)
    grouped, cuts = _cut(values, own[np.isfinite(own)])
    up_to = [0, *(int(np.count_nonzero(grouped <= cut)) for cut in cuts), len(grouped)]
    return ScoreHistogram(
        output=name,
        edges=tuple(edges.tolist()),
        shares=tuple((counts / len(values)).tolist()),
        rows=len(grouped),
        cuts=tuple(cuts),
        cut_shares=tuple((np.diff(up_to) / len(grouped)).tolist()),
    )


def _cut(values: FloatArray, own: FloatArray) -> tuple[FloatArray, list[float]]:
    """Give the scores to be counted, and where to cut them into groups."""
    given = np.unique(own)
    if not 0 < len(given) <= max(_FEW, len(own) / _REPEATED):
        return values, _quantile_cuts(values)
    # Votes of trees or neighbours are the same fractions in every twin, but not as frequent as of rows that
    # the model was fitted on. What leaves of a tree hold is a little off in each, and as frequent.
    counted = values if _are_among(values, given) else own
    ends = given[:-1].tolist() if len(given) <= _FEW else _quantile_cuts(counted)
    # In the middle between two, where a twin's are on the right side, too.
    pairs = [(end, float(given[given > end].min())) for end in ends if end < given[-1]]
    return counted, [low / 2 + high / 2 for low, high in pairs if _differ(low, high)]


def _are_among(values: FloatArray, given: FloatArray) -> bool:
    """Whether nearly all values are given ones, but for rounding."""
    above = np.searchsorted(given, values).clip(max=len(given) - 1)
    below = (above - 1).clip(min=0)
    apart = np.minimum(np.abs(values - given[above]), np.abs(values - given[below]))
    return bool(np.mean(apart <= _SAME * np.abs(values)) > _NEARLY_ALL)


def _differ(low: float, high: float) -> bool:
    return high - low > _SAME * max(abs(low), abs(high))


def _quantile_cuts(values: FloatArray) -> list[float]:
    """Give the quantiles that make groups of the same size, and the ends of values that fill one alone."""
    inner = np.arange(1, _GROUPS) / _GROUPS
    at = set(np.quantile(values, inner, method="inverted_cdf").tolist())
    for value in list(at):
        if np.count_nonzero(values == value) >= len(values) / _GROUPS and (values < value).any():
            at.add(float(values[values < value].max()))
    # Nothing is above the largest.
    return sorted(at - {float(values.max())})
