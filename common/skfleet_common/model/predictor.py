"""Predictor: what a fitted estimator says of a feature array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import UsageError
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.manifest import Target

#: These predict the class with the highest raw score, of which the probabilities are an increasing
#: function (read in scikit-learn 1.9). So the largest probability is the predicted class, except where
#: rounding made two probabilities equal whose scores were not.
_LARGEST_WINS = (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    ExtraTreesClassifier,
    LogisticRegression,
)

#: Far more than rounding can close between the two largest probabilities.
_TOO_CLOSE_TO_CALL = 1e-9


class Predictor:
    """Gives predictions and probabilities, with classes in the order of the manifest."""

    def __init__(self, estimator: Any, target: Target) -> None:
        self._estimator = estimator
        self._target = target
        #: The classes in ``classes_`` order, as the values that predictions take; empty for a regression.
        self.classes: npt.NDArray[Any] = class_values(target)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Give one prediction a row: a class, or a number."""
        if self._target.classes is None:
            return self._numbers(X)
        return self.label(X, self.predict_proba(X))

    def predict_proba(self, X: Any) -> FloatArray:
        """Give one row of class probabilities a row.

        Raises:
            UsageError: the model is a regression.
        """
        if self._target.classes is None:
            raise UsageError(
                f"The model predicts the amount {self._target.column!r}, which has no probabilities."
            )
        if len(X) == 0:
            return np.empty((0, len(self.classes)))
        probabilities: FloatArray = self._estimator.predict_proba(own(X))
        return probabilities

    def label(self, X: Any, probabilities: FloatArray) -> npt.NDArray[Any]:
        """Give the predicted classes of rows whose probabilities are known, as ``predict`` would."""
        if len(X) == 0:
            return self.classes[:0]
        if not isinstance(self._estimator, _LARGEST_WINS):
            return self._own_labels(X)
        labels: npt.NDArray[Any] = self.classes[probabilities.argmax(axis=1)]
        second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
        close = first - second < _TOO_CLOSE_TO_CALL
        if close.any():
            labels[close] = self._own_labels(X[close])
        return labels

    def _own_labels(self, X: Any) -> npt.NDArray[Any]:
        labels: npt.NDArray[Any] = np.asarray(self._estimator.predict(own(X))).astype(self.classes.dtype)
        return labels

    def _numbers(self, X: Any) -> FloatArray:
        if len(X) == 0:
            return np.empty(0)
        values: FloatArray = np.asarray(self._estimator.predict(own(X)), dtype=np.float64)
        return values


def own(X: Any) -> Any:
    """Give a data frame that the model may change: pandas copies a column when it is written to."""
    return X.copy(deep=False) if isinstance(X, pd.DataFrame) else X


def class_values(target: Target) -> npt.NDArray[Any]:
    """Give the classes as an array of booleans, 64-bit integers or text objects."""
    if target.classes is None:
        return np.empty(0)
    values: Sequence[object] = target.classes.values
    kinds = {LogicalDtype.BOOLEAN: np.bool_, LogicalDtype.INTEGER: np.int64}
    return np.array(values, dtype=kinds.get(target.classes.dtype, object))
