"""Predictor: what a fitted estimator says of its inputs, in the words of the manifest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.kinds import Kind
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.classes import Classes, dense, one_a_row, table_of
from skfleet_common.model.manifest import Learning, Target
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

#: What an object of theirs may have of its own.
_ASKED = {"predict", "predict_proba"}

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
        # A class made from one of them, or an object whose method was replaced, may predict otherwise.
        self._largest_wins = type(estimator) in _LARGEST_WINS and not _ASKED & vars(estimator).keys()
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
        """Give one answer a target, with the scores that there are of it.

        Raises:
            Misbehaved: the estimator's answers are not what their names promise.
        """
        if len(X) == 0:
            return tuple(_silence(classes, scores) for classes in self._classes)
        given: list[FloatArray | None] = [None] * len(self._targets)
        if None not in self._classes and scores is not Scores.NOTHING:
            is_likely = scores is Scores.PROBABILITY
            given = list(self.probabilities(X)) if is_likely else [self.decisions(X)]
        likely = given if scores is Scores.PROBABILITY else [None] * len(given)
        return tuple(
            Answer(values, found) for values, found in zip(self.values(X, likely), given, strict=True)
        )

    def values(self, X: Any, probabilities: Sequence[FloatArray | None] = ()) -> list[npt.NDArray[Any]]:
        """Give the predictions of each target; ``probabilities`` are those of the rows, where they are known.

        Raises:
            Misbehaved: there is not one a row and target, or one is no class.
        """
        if len(self._targets) == 1:
            known = probabilities[0] if probabilities else None
            if known is not None and self._classes[0] is not None:
                return [self.label(X, known)]
            columns: Any = [self._predicted(X)]
        else:
            predicted = dense(self._predicted(X))
            if predicted.shape != (len(X), len(self._targets)):
                raise Misbehaved(
                    f"The estimator gives predictions of shape {predicted.shape} for {len(X):,} rows and "
                    f"{len(self._targets)} targets; its predict must give one a row and target."
                )
            columns = predicted.T
        return [
            _numbers(column, target, rows=len(X)) if classes is None else classes.labels(column, rows=len(X))
            for column, target, classes in zip(columns, self._targets, self._classes, strict=True)
        ]

    def probabilities(self, X: Any) -> list[FloatArray]:
        """Give, for each target, a row of probabilities a row.

        Raises:
            Misbehaved: there is not one a row and class.
        """
        given = self._estimator.predict_proba(self._own(X))
        if len(self._targets) > 1:
            return [
                classes.scores(_of_target(given, position), rows=len(X))
                for position, classes in enumerate(self._classes)
                if classes is not None
            ]
        only = self._classes[0]
        return [table_of(given, rows=len(X)) if only is None else only.scores(given, rows=len(X))]

    def decisions(self, X: Any) -> FloatArray:
        """Give the values of ``decision_function``: a column a class; one of two classes, and of outliers."""
        raw = dense(self._estimator.decision_function(self._own(X))).astype(np.float64, copy=False)
        classes = self._classes[0]
        # Of two classes, there is one value: how far a row is on the second one's side.
        if classes is None or len(classes.values) == 2:  # noqa: PLR2004
            return one_a_row(raw, rows=len(X)).reshape(-1, 1)
        return classes.scores(raw, rows=len(X))

    def transformed(self, X: Any) -> FloatArray:
        """Give what ``transform`` makes of the rows, a column a component."""
        return table_of(self._estimator.transform(self._own(X)), rows=len(X))

    def columns(self, X: Any, kinds: Collection[Kind]) -> dict[Kind, list[npt.NDArray[Any]]]:
        """Give the columns of each kind, target by target; nothing is computed that no kind wants.

        Raises:
            Misbehaved: the estimator's answers are not what their names promise.
        """
        found: dict[Kind, list[npt.NDArray[Any]]] = {}
        likely = self.probabilities(X) if Kind.PROBABILITY in kinds else []
        if Kind.PREDICTION in kinds:
            found[Kind.PREDICTION] = self.values(X, likely)
        if Kind.PROBABILITY in kinds:
            found[Kind.PROBABILITY] = [column for of_target in likely for column in of_target.T]
        if Kind.DECISION in kinds:
            found[Kind.DECISION] = list(self.decisions(X).T)
        if Kind.TRANSFORMED in kinds:
            found[Kind.TRANSFORMED] = list(self.transformed(X).T)
        return found

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
        if self._targets[0].learning is Learning.REGRESSION:
            raise UsageError(
                f"The model predicts the amount {self._targets[0].column!r}, which has no probabilities."
            )
        if not hasattr(self._estimator, "predict_proba"):
            raise UsageError(
                "The model's estimator has no predict_proba, so it gives no probabilities; train it with "
                "--calibrate sigmoid, or take its predictions."
            )
        if len(X) == 0:
            found = [answer.scores for answer in self.answers(X, Scores.PROBABILITY)]
        else:
            found = [*self.probabilities(X)]
        return found if len(found) > 1 else found[0]

    def label(self, X: Any, probabilities: FloatArray) -> npt.NDArray[Any]:
        """Give the predicted classes of rows whose probabilities are known, as ``predict`` would."""
        classes = self._classes[0]
        assert classes is not None  # noqa: S101  (an amount has no probabilities)
        if not self._largest_wins:
            return classes.labels(self._predicted(X), rows=len(X))
        labels: npt.NDArray[Any] = classes.values[probabilities.argmax(axis=1)]
        second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
        close = first - second < _TOO_CLOSE_TO_CALL
        if close.any():
            labels[close] = classes.labels(self._predicted(X[close]), rows=int(close.sum()))
        return labels

    def _predicted(self, X: Any) -> Any:
        return self._estimator.predict(self._own(X))

    def _own(self, X: Any) -> Any:
        """Give inputs that the estimator may change: some scale in place, and are asked again."""
        if isinstance(X, pd.DataFrame):
            return X.copy(deep=False)  # pandas copies a column when it is written to
        return X if self._largest_wins else X.copy()


def _numbers(predicted: Any, target: Target, *, rows: int) -> npt.NDArray[Any]:
    values = one_a_row(predicted, rows=rows)
    if target.dtype is not LogicalDtype.INTEGER or target.learning is not Learning.UNSUPERVISED:
        return values.astype(np.float64, copy=False)
    labels: npt.NDArray[Any] = values.astype(np.int64)
    if not np.array_equal(labels, values):
        raise Misbehaved("The model predicts what is no whole number, but did so of the sample.")
    return labels


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
