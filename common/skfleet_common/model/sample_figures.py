"""Sample figures: how well a registered model does on its sample, where that has the targets.

The sample may be rows that the model was fitted on, so these figures are not out of sample, and say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skfleet_common.model.evaluation import evaluate
from skfleet_common.model.evaluation.importance import chosen_rows, measured_importance
from skfleet_common.model.manifest import Learning, Target
from skfleet_common.model.out_of_sample import OutOfSample, take
from skfleet_common.model.predictor import Scores
from skfleet_common.model.scoring import Scorer

ELSEWHERE = {"skipped": "the model was fitted elsewhere, and the sample does not say what is right"}


def sample_figures(
    scorer: Scorer, sample: pa.Table, targets: Sequence[Target], scores: Scores, *, seed: int
) -> dict[str, Any]:
    """Give the figures of the rows of ``sample``, all of which the model scores."""
    if targets[0].learning is Learning.UNSUPERVISED:
        return {"skipped": "the model learned without a target, so nothing says what is right"}
    if any(target.column not in sample.schema.names for target in targets):
        return ELSEWHERE
    known = [_known(sample.column(target.column).to_pylist(), target) for target in targets]
    has_all = np.logical_and.reduce([flags for _, flags in known])
    if not has_all.any():
        return ELSEWHERE
    rows = np.flatnonzero(has_all)
    X = take(scorer.builder.build(sample).X, rows)
    ys = [values[rows] for values, _ in known]
    answers = scorer.predictor.answers(X, scores)
    figures = [
        evaluate(
            OutOfSample(
                rows=rows,
                y=y,
                predicted=answer.values,
                probabilities=answer.scores if scores is Scores.PROBABILITY else None,
                decisions=answer.scores if scores is Scores.DECISION else None,
                weights=None,
                split={"kind": "sample"},
                rows_fitted=0,
            ),
            target,
        )
        for target, y, answer in zip(targets, ys, answers, strict=True)
    ]
    looked_at = chosen_rows(len(rows), seed=seed)
    importance = measured_importance(
        scorer.predictor,
        take(X, looked_at),
        [y[looked_at] for y in ys],
        targets=targets,
        scores=scores,
        weights=None,
        groups=scorer.columns_by_input,
        seed=seed,
    )
    if len(figures) == 1:
        return figures[0] | {"importance": importance}
    shared = {name: figures[0][name] for name in ("split", "rows_fitted", "rows_measured")}
    by_target = dict(zip([target.column for target in targets], figures, strict=True))
    return shared | {"targets": by_target, "importance": importance}


def _known(values: Sequence[Any], target: Target) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Give the values as the model would predict them, and which of them it can."""
    if target.classes is None:
        numbers = np.array([_number(value) for value in values])
        return numbers, np.isfinite(numbers)
    # A label that was true may be 1 to the model; equal values have equal hashes.
    labels = {label: label for label in target.classes.values}
    found = [labels.get(value) for value in values]
    flags = np.array([label is not None for label in found])
    array = np.empty(len(found), dtype=object)
    array[:] = found
    return array, flags


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
