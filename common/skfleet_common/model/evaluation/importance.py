"""Importance: how much worse the predictions become when one column's values are dealt out anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score

from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.evaluation.classification import summing_to_one
from skfleet_common.model.manifest import Target
from skfleet_common.model.predictor import Answer, Predictor, Scores

#: More rows or repeats sharpen the figures less than they cost.
ROWS = 2_000
REPEATS = 3

#: Beyond this, columns that are left are not measured; a wide table of a slow model would take hours.
LONGEST_SECONDS = 20.0

#: The score of predictions: higher is better.
Score = Callable[[Any], float]


def permutation_importance(
    predict: Callable[[Any], Any],
    X: Any,
    score: Score,
    *,
    groups: Mapping[str, Sequence[int | str]],
    seed: int,
    now: Callable[[], float] = time.monotonic,
) -> list[dict[str, Any]]:
    """Give, by input column, the mean loss of score over repeats, the most important column first.

    ``groups`` has the columns of ``X`` that an input column made: they are dealt out together. A column
    for which there was no time has null. The same seed gives the same figures.
    """
    stop_at = now() + LONGEST_SECONDS
    best = score(predict(X))
    losses: dict[str, list[float]] = {column: [] for column in groups}
    for repeat in range(REPEATS):
        for number, (column, positions) in enumerate(groups.items()):
            if now() > stop_at:
                break
            order = np.random.default_rng([seed, repeat, number]).permutation(len(X))
            losses[column].append(best - score(predict(_dealt(X, positions, order))))
    found = [
        {
            "column": column,
            "loss": float(np.mean(lost)) if lost else None,
            "spread": float(np.std(lost)) if lost else None,
            "repeats": len(lost),
        }
        for column, lost in losses.items()
    ]
    return sorted(found, key=lambda entry: (entry["loss"] is None, -(entry["loss"] or 0.0)))


def measured_importance(
    predictor: Predictor,
    X: Any,
    ys: Sequence[npt.NDArray[Any]],
    *,
    targets: Sequence[Target],
    scores: Scores,
    weights: FloatArray | None,
    groups: Mapping[str, Sequence[int | str]],
    seed: int,
) -> dict[str, Any]:
    """Give what the report says of importance; of several targets, the mean of their scores counts."""
    measures = [
        _score_of(target, y, weights, probabilities=scores is Scores.PROBABILITY)
        for target, y in zip(targets, ys, strict=True)
    ]
    names = {name for name, _ in measures}

    def score(answers: tuple[Answer, ...]) -> float:
        return float(
            np.mean([measure(answer) for (_, measure), answer in zip(measures, answers, strict=True)])
        )

    columns = permutation_importance(
        lambda permuted: predictor.answers(permuted, scores), X, score, groups=groups, seed=seed
    )
    return {"score": " and ".join(sorted(names)), "rows": len(X), "columns": columns}


def _score_of(
    target: Target, y: npt.NDArray[Any], weights: FloatArray | None, *, probabilities: bool
) -> tuple[str, Callable[[Answer], float]]:
    """Give the score that importance is measured in, and its name."""
    if target.classes is None:
        return "R²", lambda said: float(r2_score(y, said.values, sample_weight=weights))
    places = {label: place for place, label in enumerate(target.classes.values)}
    codes = np.array([places[value] for value in y.tolist()])
    if not probabilities:

        def accuracy(said: Answer) -> float:
            predicted = np.array([places[value] for value in said.values.tolist()])
            return float(accuracy_score(codes, predicted, sample_weight=weights))

        return "accuracy", accuracy
    if len(places) == 2 and len(np.unique(codes)) == 2:  # noqa: PLR2004  (a ROC curve is of two classes)
        return "ROC AUC", lambda said: float(roc_auc_score(codes, _of(said)[:, 1], sample_weight=weights))
    every = np.arange(len(places))
    return (
        "log loss",
        lambda said: -float(log_loss(codes, summing_to_one(_of(said)), labels=every, sample_weight=weights)),
    )


def _of(said: Answer) -> FloatArray:
    assert said.scores is not None  # noqa: S101  (probabilities were asked for)
    return said.scores


def chosen_rows(rows: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Give the rows that importance is measured on."""
    if rows <= ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, ROWS, replace=False))


def _dealt(X: Any, positions: Sequence[int | str], order: npt.NDArray[Any]) -> Any:
    if isinstance(X, pd.DataFrame):
        # Reassigned as a whole, so that each column keeps its dtype.
        return X.assign(**{str(name): X[name].take(order).set_axis(X.index) for name in positions})
    dealt = X.copy()
    for position in positions:
        dealt[:, position] = X[order, position]
    return dealt
