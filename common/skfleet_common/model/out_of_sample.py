"""Out of sample: what a twin of the model says of rows that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.manifest import Learning, Target
from skfleet_common.model.predictor import Predictor

HOLDOUT_SHARE = 0.2

#: More rows do not move the figures, but the time to fit twice.
MAX_EVALUATED_ROWS = 100_000

#: With fewer rows, a figure says more about the split than about the model.
MIN_EVALUATED_ROWS = 50


class NothingHeldOut(Exception):
    """The rows cannot be split so that a figure would mean something; the text says why."""


@dataclass(frozen=True)
class OutOfSample:
    """Predictions for rows that the predicting twin did not see: one of each array a row."""

    #: Positions of the rows among those that the model is fitted on.
    rows: npt.NDArray[np.int64]
    y: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    #: A column a class of the target, (rows, classes); None for a regression.
    probabilities: FloatArray | None
    weights: FloatArray | None
    #: How the rows were split, for the report.
    split: dict[str, Any]
    #: Rows that a twin was fitted on.
    rows_fitted: int


def hold_out(
    estimator: Any,
    X: FloatArray,
    y: npt.NDArray[Any],
    *,
    target: Target,
    weights: FloatArray | None,
    seed: int,
) -> OutOfSample:
    """Fit a copy of ``estimator`` on four fifths of the rows, and predict the others.

    The model of the bundle is fitted on all rows; figures are of its twin.

    Raises:
        NothingHeldOut: there are too few rows, in all or of a class.
    """
    if len(X) < MIN_EVALUATED_ROWS:
        raise NothingHeldOut(f"fewer than {MIN_EVALUATED_ROWS} rows")
    chosen = np.arange(len(X))
    if len(X) > MAX_EVALUATED_ROWS:
        chosen = np.random.default_rng(seed).choice(len(X), MAX_EVALUATED_ROWS, replace=False)
    fitted, held = train_test_split(
        chosen, test_size=HOLDOUT_SHARE, random_state=seed, stratify=_strata(y[chosen], target)
    )
    is_classification = target.learning is Learning.CLASSIFICATION
    if is_classification and len(np.unique(y[fitted])) < len(np.unique(y)):
        raise NothingHeldOut("a class is too rare to be in both parts of the rows")
    twin = clone(estimator)
    twin.fit(X[fitted], y[fitted], sample_weight=None if weights is None else weights[fitted])
    predictor = Predictor(twin, target)
    probabilities = predictor.predict_proba(X[held]) if is_classification else None
    return OutOfSample(
        rows=held,
        y=y[held],
        predicted=(
            predictor.predict(X[held]) if probabilities is None else predictor.label(X[held], probabilities)
        ),
        probabilities=probabilities,
        weights=None if weights is None else weights[held],
        split={"kind": "holdout", "share": HOLDOUT_SHARE, "seed": seed},
        rows_fitted=len(fitted),
    )


def _strata(y: npt.NDArray[Any], target: Target) -> npt.NDArray[Any] | None:
    if target.learning is Learning.REGRESSION:
        return None
    _, counts = np.unique(y, return_counts=True)
    # train_test_split wants every stratum in both parts, and no fewer held rows than strata.
    fits = counts.min() > 1 and len(counts) <= HOLDOUT_SHARE * len(y)
    return y if fits else None
