"""Predictor: what a fitted estimator says of its inputs, in the words of the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skfleet_common.contracts.errors import UsageError
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.classes import Classes, dense, one_a_row
from skfleet_common.model.manifest import Target
from skfleet_common.model.refusals import Misbehaved

#: These predict the class with the highest raw score, of which the probabilities are an increasing
#: function (read in scikit-learn 1.9). So the largest probability is the predicted class, except where
#: rounding made two probabilities equal whose scores were not. They leave their input as it is.
_LARGEST_WINS = (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    ExtraTreesClassifier,
    LogisticRegression,
)

#: Far more than rounding can close between the two largest probabilities.
_TOO_CLOSE_TO_CALL = 1e-9


class Scores(StrEnum):
    """What a model says beside its prediction; the values are those of ``OutputColumn.source``."""

    NOTHING = "prediction"
    PROBABILITY = "probability"
    #: Values of ``decision_function``: signed distances, not probabilities.
    DECISION = "decision"


@dataclass(frozen=True)
class Answer:
    """What is said of one target: a value a row, and (rows, columns) of scores if there are any."""

    values: npt.NDArray[Any]
    scores: FloatArray | None = None


class Predictor:
    """Gives predictions and scores, with classes in the order of the manifest."""

    def __init__(self, estimator: Any, *targets: Target) -> None:
        self._estimator = estimator
        self._targets = targets
        named = getattr(estimator, "classes_", None)
        fitted = named if len(targets) > 1 and isinstance(named, list) else [named] * len(targets)
        #: A target a place; None where it is an amount.
        self._classes = [
            None if target.classes is None else Classes(target, names)
            for target, names in zip(targets, fitted, strict=True)
        ]

    @property
    def classes(self) -> npt.NDArray[Any]:
        """The classes of the only target, as the values that predictions take; empty for an amount."""
        only = self._classes[0]
        return np.empty(0) if only is None else only.values

    def answers(self, X: Any, scores: Scores) -> tuple[Answer, ...]:
        """Give one answer a target.

        Raises:
            Misbehaved: the estimator's answers are not what their names promise.
        """
        if len(X) == 0:
            return tuple(_silence(classes, scores) for classes in self._classes)
        if len(self._targets) > 1:
            return self._of_several(X, scores)
        classes = self._classes[0]
        if classes is None:
            return (Answer(_numbers(self._predicted(X), rows=len(X))),)
        if scores is Scores.PROBABILITY:
            probabilities = self.predict_proba(X)
            return (Answer(self.label(X, probabilities), probabilities),)
        labels = classes.labels(self._predicted(X), rows=len(X))
        return (Answer(labels, self._decisions(X, classes) if scores is Scores.DECISION else None),)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Give one prediction a row, a class or a number; of several targets, a column each."""
        scores = Scores.PROBABILITY if hasattr(self._estimator, "predict_proba") else Scores.NOTHING
        values = [answer.values for answer in self.answers(X, scores)]
        if len(values) == 1:
            return values[0]
        kinds = {value.dtype for value in values}
        return np.column_stack(values if len(kinds) == 1 else [value.astype(object) for value in values])

    def predict_proba(self, X: Any) -> Any:
        """Give a row of class probabilities a row; of several targets, a list of such arrays.

        Raises:
            UsageError: the model predicts an amount, or has no probabilities.
        """
        if None in self._classes:
            raise UsageError(
                f"The model predicts the amount {self._targets[0].column!r}, which has no probabilities."
            )
        if not hasattr(self._estimator, "predict_proba"):
            raise UsageError(
                "The model's estimator has no predict_proba, so it gives no probabilities; train it with "
                "--calibrate sigmoid, or take its predictions."
            )
        if len(X) == 0:
            nothing = [answer.scores for answer in self.answers(X, Scores.PROBABILITY)]
            return nothing if len(nothing) > 1 else nothing[0]
        if len(self._targets) > 1:
            return [answer.scores for answer in self._of_several(X, Scores.PROBABILITY)]
        assert self._classes[0] is not None  # noqa: S101  (as was asked above)
        return self._classes[0].scores(self._estimator.predict_proba(self._own(X)), rows=len(X))

    def label(self, X: Any, probabilities: FloatArray) -> npt.NDArray[Any]:
        """Give the predicted classes of rows whose probabilities are known, as ``predict`` would."""
        classes = self._classes[0]
        assert classes is not None  # noqa: S101  (an amount has no probabilities)
        if not isinstance(self._estimator, _LARGEST_WINS):
            return classes.labels(self._predicted(X), rows=len(X))
        labels: npt.NDArray[Any] = classes.values[probabilities.argmax(axis=1)]
        second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
        close = first - second < _TOO_CLOSE_TO_CALL
        if close.any():
            labels[close] = classes.labels(self._predicted(X[close]), rows=int(close.sum()))
        return labels

    def _of_several(self, X: Any, scores: Scores) -> tuple[Answer, ...]:
        predicted = dense(self._predicted(X))
        if predicted.shape != (len(X), len(self._targets)):
            raise Misbehaved(
                f"The estimator gives predictions of shape {predicted.shape} for {len(X):,} rows and "
                f"{len(self._targets)} targets; its predict must give one a row and target."
            )
        given = self._estimator.predict_proba(self._own(X)) if scores is Scores.PROBABILITY else None
        answers = []
        for position, classes in enumerate(self._classes):
            column = predicted[:, position]
            if classes is None:
                answers.append(Answer(_numbers(column, rows=len(X))))
                continue
            probabilities = None
            if given is not None:
                probabilities = classes.scores(_of_target(given, position), rows=len(X))
            answers.append(Answer(classes.labels(column, rows=len(X)), probabilities))
        return tuple(answers)

    def _decisions(self, X: Any, classes: Classes) -> FloatArray:
        raw = dense(self._estimator.decision_function(self._own(X))).astype(np.float64, copy=False)
        # Of two classes, there is one value: how far a row is on the second one's side.
        if len(classes.values) == 2:  # noqa: PLR2004
            return one_a_row(raw, rows=len(X)).reshape(-1, 1)
        return classes.scores(raw, rows=len(X))

    def _predicted(self, X: Any) -> Any:
        return self._estimator.predict(self._own(X))

    def _own(self, X: Any) -> Any:
        """Give inputs that the estimator may change: some scale in place, and are asked again."""
        if isinstance(X, pd.DataFrame):
            return X.copy(deep=False)  # pandas copies a column when it is written to
        return X if isinstance(self._estimator, _LARGEST_WINS) else X.copy()


def scores_of(estimator: Any, targets: Sequence[Target], X: Any) -> Scores:
    """Give what a fitted estimator has to say beside predictions, as it says it of ``X``."""
    if targets[0].classes is None:
        return Scores.NOTHING
    predictor = Predictor(estimator, *targets)
    wanted = {Scores.PROBABILITY: "predict_proba", Scores.DECISION: "decision_function"}
    for scores, method in wanted.items():
        if not hasattr(estimator, method) or (len(targets) > 1 and scores is Scores.DECISION):
            continue
        try:
            predictor.answers(X, scores)
        except NotImplementedError:
            continue
        except Misbehaved:
            # One against one, there is a value a pair of classes.
            if scores is Scores.DECISION:
                continue
            raise
        return scores
    return Scores.NOTHING


def _numbers(predicted: Any, *, rows: int) -> FloatArray:
    values: FloatArray = one_a_row(predicted, rows=rows).astype(np.float64, copy=False)
    return values


def _of_target(given: Any, position: int) -> Any:
    if isinstance(given, list):
        return given[position]
    # Of classes 0 and 1, some give the probability of 1 only.
    second = dense(given)[:, position]
    return np.column_stack([1.0 - second, second])


def _silence(classes: Classes | None, scores: Scores) -> Answer:
    if classes is None:
        return Answer(np.empty(0))
    columns = 1 if scores is Scores.DECISION and len(classes.values) == 2 else len(classes.values)  # noqa: PLR2004
    return Answer(classes.values[:0], None if scores is Scores.NOTHING else np.empty((0, columns)))
