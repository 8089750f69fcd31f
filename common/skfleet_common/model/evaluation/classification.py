"""Classification: how well classes, and their probabilities, are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.evaluation.weighted import mean, ones_unless, parts, thinned
from skfleet_common.model.manifest import Target
from skfleet_common.model.out_of_sample import OutOfSample

#: A confusion matrix of more classes is nothing that a person reads; nor are more curves.
MAX_CONFUSED = 30
MAX_CURVES = 10

BINS = 10
_TWO = 2


def of_classification(held: OutOfSample, target: Target) -> dict[str, Any]:
    """Give the figures of predicted classes, and of probabilities or decision values where there are any."""
    assert target.classes is not None  # noqa: S101  (a classification has them)
    labels = target.classes.values
    weights = ones_unless(held.weights, len(held.y))
    codes, predicted = _codes(held.y, labels), _codes(held.predicted, labels)
    figures: dict[str, Any] = {
        "accuracy": float(accuracy_score(codes, predicted, sample_weight=weights)),
        "class_balance": [
            {
                "class": label,
                "rows": int((codes == code).sum()),
                "share": mean(codes == code, weights),
                "predicted_share": mean(predicted == code, weights),
            }
            for code, label in enumerate(labels)
        ],
    }
    if len(labels) <= MAX_CONFUSED:
        counts = confusion_matrix(codes, predicted, labels=np.arange(len(labels)), sample_weight=weights)
        figures["confusion"] = {"classes": list(labels), "counts": counts.tolist()}
    probabilities = held.probabilities
    if probabilities is not None and np.isfinite(probabilities).all():
        return figures | _of_probabilities(codes, probabilities, weights, labels)
    decisions = getattr(held, "decisions", None)
    if decisions is not None and len(labels) == _TWO and np.isfinite(decisions).all():
        return figures | _of_scores(codes == 1, decisions[:, -1], weights, label=labels[1])
    return figures


def _of_probabilities(
    codes: npt.NDArray[np.int64], probabilities: FloatArray, weights: FloatArray, labels: tuple[Any, ...]
) -> dict[str, Any]:
    known = np.eye(len(labels))[codes]
    figures: dict[str, Any] = {
        "log_loss": float(
            log_loss(
                codes, summing_to_one(probabilities), labels=np.arange(len(labels)), sample_weight=weights
            )
        )
    }
    if len(labels) == _TWO:
        positive = probabilities[:, 1]
        figures["brier"] = mean((positive - known[:, 1]) ** 2, weights)
        figures |= _of_scores(codes == 1, positive, weights, label=labels[1])
        figures["calibration"] = calibration(positive, codes == 1, weights)
        return figures
    figures["brier"] = mean(((probabilities - known) ** 2).sum(axis=1), weights)
    by_class = [
        _of_scores(codes == code, probabilities[:, code], weights, label=label)
        for code, label in enumerate(labels)
        if 0 < (codes == code).sum() < len(codes)
    ]
    if by_class:
        for name in ("roc_auc", "average_precision"):
            figures[name] = float(np.mean([scores[name] for scores in by_class]))
        figures["averaged"] = "one class against the others, each class the same"
    figures["by_class"] = [
        {
            "class": scores["positive_class"],
            "roc_auc": scores["roc_auc"],
            "average_precision": scores["average_precision"],
        }
        for scores in by_class
    ]
    curves = by_class[:MAX_CURVES]
    for curve in ("roc_curve", "precision_recall_curve"):
        figures[curve] = [part for scores in curves for part in scores[curve]]
    # Of many classes, how sure the model may be believed to be of the one that it names.
    named = probabilities.argmax(axis=1)
    figures["calibration"] = calibration(probabilities.max(axis=1), named == codes, weights)
    return figures


def _of_scores(
    is_positive: npt.NDArray[np.bool_], scores: FloatArray, weights: FloatArray, *, label: Any
) -> dict[str, Any]:
    """Give what only the order of the scores decides; nothing where all rows are of one class."""
    if weights[is_positive].sum() <= 0 or weights[~is_positive].sum() <= 0:
        return {}
    fpr, tpr, _ = roc_curve(is_positive, scores, sample_weight=weights)
    precision, recall, _ = precision_recall_curve(is_positive, scores, sample_weight=weights)
    false_positives, true_positives = thinned(fpr, tpr)
    precisions, recalls = thinned(precision, recall)
    return {
        "positive_class": label,
        "roc_auc": float(roc_auc_score(is_positive, scores, sample_weight=weights)),
        "average_precision": float(average_precision_score(is_positive, scores, sample_weight=weights)),
        "roc_curve": [
            {"class": label, "false_positive_rate": false_positives, "true_positive_rate": true_positives}
        ],
        "precision_recall_curve": [{"class": label, "precision": precisions, "recall": recalls}],
        "deciles": deciles(is_positive, scores, weights),
    }


def deciles(
    is_positive: npt.NDArray[np.bool_], scores: FloatArray, weights: FloatArray
) -> list[dict[str, Any]]:
    """Give tenths of the rows, those with the highest scores first: what share of them is positive."""
    overall, all_positives = mean(is_positive, weights), float(weights[is_positive].sum())
    table: list[dict[str, Any]] = []
    found, seen = 0.0, 0.0
    for number, rows in enumerate(parts(np.argsort(-scores, kind="stable"), weights, BINS), start=1):
        share = mean(is_positive[rows], weights[rows])
        found += float(weights[rows][is_positive[rows]].sum())
        seen += float(weights[rows].sum())
        table.append(
            {
                "decile": number,
                "rows": len(rows),
                "lowest_score": float(scores[rows].min()),
                "mean_score": mean(scores[rows], weights[rows]),
                "positives": share,
                "lift": share / overall if overall else None,
                "cumulative_rows": seen / float(weights.sum()),
                "cumulative_positives": found / all_positives if all_positives else None,
            }
        )
    return table


def calibration(
    probabilities: FloatArray, happened: npt.NDArray[np.bool_], weights: FloatArray
) -> list[dict[str, Any]]:
    """Give, by tenths of the probability, how likely something was said to be and how often it was."""
    numbers = np.clip((probabilities * BINS).astype(np.int64), 0, BINS - 1)
    return [
        {
            "from": number / BINS,
            "to": (number + 1) / BINS,
            "rows": int((numbers == number).sum()),
            "predicted": mean(probabilities[numbers == number], weights[numbers == number]),
            "observed": mean(happened[numbers == number], weights[numbers == number]),
        }
        for number in range(BINS)
        if (numbers == number).any()
    ]


def _codes(values: npt.NDArray[Any], labels: tuple[Any, ...]) -> npt.NDArray[np.int64]:
    """Give each value's place among the labels; -1 for one that is none of them."""
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places.get(value, -1) for value in values.tolist()], dtype=np.int64)


def summing_to_one(probabilities: FloatArray) -> FloatArray:
    """Give rows that sum to one in doubles; single-precision ones do so only about."""
    totals = probabilities.sum(axis=1, keepdims=True)
    return probabilities / np.where(totals > 0, totals, 1.0)
