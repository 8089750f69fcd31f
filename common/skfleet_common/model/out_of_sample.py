"""Out of sample: what twins of the model say of rows that they were not fitted on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from skfleet_common.contracts.errors import UsageError
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.estimators.fitting import blaming
from skfleet_common.model.manifest import Learning
from skfleet_common.model.offers import PROBED_ROWS, scores_of
from skfleet_common.model.predictor import Answer, Predictor, Scores
from skfleet_common.model.targets import Targets

HOLDOUT_SHARE = 0.2

#: More rows do not move the figures, but the time to fit twice.
MAX_EVALUATED_ROWS = 100_000

#: With fewer rows, a figure says more about the split than about the model.
MIN_EVALUATED_ROWS = 50


class NothingHeldOut(Exception):
    """The rows cannot be split so that a figure would mean something; the text says why."""


@dataclass(frozen=True)
class Split:
    """Which rows a twin is fitted on and which it predicts, once or for each part of the rows."""

    parts: tuple[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], ...]
    #: How the rows were split, for the report.
    described: dict[str, Any]

    @property
    def rows_fitted(self) -> int:
        """Rows that one twin is fitted on, about the same for each."""
        return len(self.parts[0][0])


@dataclass(frozen=True)
class OutOfSample:
    """Predictions of one target for rows that the predicting twin did not see: one of each array a row."""

    #: Positions of the rows among those that the model is fitted on.
    rows: npt.NDArray[np.int64]
    y: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    #: A column a class of the target, (rows, classes); None for an amount, or where there are none.
    probabilities: FloatArray | None
    weights: FloatArray | None
    #: How the rows were split, for the report.
    split: dict[str, Any]
    #: Rows that a twin was fitted on.
    rows_fitted: int
    #: Values of ``decision_function``, where those are all there is.
    decisions: FloatArray | None = None


def hold_out(targets: Targets, *, seed: int) -> Split:
    """Leave a fifth of the rows to be predicted.

    Raises:
        NothingHeldOut: there are too few rows, in all or of a class.
    """
    rows = len(targets.columns[0].y)
    if rows < MIN_EVALUATED_ROWS:
        raise NothingHeldOut(f"fewer than {MIN_EVALUATED_ROWS} rows")
    chosen = np.arange(rows)
    if rows > MAX_EVALUATED_ROWS:
        chosen = np.random.default_rng(seed).choice(rows, MAX_EVALUATED_ROWS, replace=False)
    fitted, held = train_test_split(
        chosen, test_size=HOLDOUT_SHARE, random_state=seed, stratify=_strata(targets, chosen)
    )
    if _lacks_a_class(targets, fitted):
        raise NothingHeldOut("a class is too rare to be in both parts of the rows")
    described = {"kind": "holdout", "share": HOLDOUT_SHARE, "seed": seed}
    return Split(((fitted, np.sort(held)),), described)


def cross_validation(targets: Targets, *, folds: int, seed: int) -> Split:
    """Split all rows in ``folds`` parts, each to be predicted by a twin of the others.

    Raises:
        UsageError: there are fewer rows of a class than parts.
    """
    only = targets.columns[0]
    is_stratified = targets.learning is Learning.CLASSIFICATION and len(targets.columns) == 1
    fewest = int(np.bincount(only.codes).min()) if is_stratified else len(only.y)
    if not 2 <= folds <= fewest:  # noqa: PLR2004  (a part to fit on and a part to predict)
        of = f"its rarest class has {fewest} rows" if is_stratified else f"there are {fewest} rows"
        raise UsageError(
            f"{folds} parts cannot be cross-validated: {of}; name a number from 2 to {fewest} with "
            "--cross-validate, or leave it out."
        )
    kind = StratifiedKFold if is_stratified else KFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    parts = tuple(splitter.split(only.y, only.codes if is_stratified else None))
    if any(_lacks_a_class(targets, fitted) for fitted, _ in parts):
        raise UsageError(
            f"A class is too rare to be in all but one of {folds} parts of the rows; leave --cross-validate "
            "out, or group the classes."
        )
    described = {"kind": "cross_validation", "folds": folds, "stratified": is_stratified, "seed": seed}
    return Split(parts, described)


def predict_out_of_sample(
    split: Split,
    fit: Callable[[npt.NDArray[np.int64]], Any],
    X: Any,
    *,
    targets: Targets,
    weights: FloatArray | None,
    name: str,
    look: Callable[[Predictor, npt.NDArray[np.int64], Scores], None] | None = None,
) -> tuple[OutOfSample, ...]:
    """Predict every held row with the twin that ``fit`` fits to the other rows; one result a target.

    ``look`` is shown the first twin, the rows that were held from it, and what it says beside predictions.
    """
    described = targets.described
    answers: list[tuple[Answer, ...]] = []
    scores: Scores | None = None
    for fitted, held in split.parts:
        twin = fit(fitted)
        with blaming(name, "asked for predictions"):
            is_first = scores is None
            scores = scores or scores_of(twin, described, take(X, held[:PROBED_ROWS]))
            predictor = Predictor(twin, *described)
            answers.append(predictor.answers(take(X, held), scores))
            if is_first and look is not None and _are_finite(answers).all():
                # A row that is changed for the look may be one that nothing finite is said of.
                with contextlib.suppress(ValueError):
                    look(predictor, held, scores)
    rows = np.concatenate([held for _, held in split.parts])
    order = np.argsort(rows, kind="stable")
    # A row that would be quarantined has no figure.
    order = order[_are_finite(answers)[order]]
    return tuple(
        OutOfSample(
            rows=rows[order],
            y=column.y[rows[order]],
            predicted=np.concatenate([answer[position].values for answer in answers])[order],
            probabilities=_joined(answers, position, order) if scores is Scores.PROBABILITY else None,
            decisions=_joined(answers, position, order) if scores is Scores.DECISION else None,
            weights=None if weights is None else weights[rows[order]],
            split=split.described,
            rows_fitted=split.rows_fitted,
        )
        for position, column in enumerate(targets.columns)
    )


def take(X: Any, rows: npt.NDArray[Any]) -> Any:
    """Give some rows of an array or a data frame, as a copy."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


def _are_finite(answers: Sequence[tuple[Answer, ...]]) -> npt.NDArray[np.bool_]:
    parts = []
    for answer in answers:
        finite = np.ones(len(answer[0].values), dtype=np.bool_)
        for of_target in answer:
            if of_target.values.dtype.kind == "f":
                finite &= np.isfinite(of_target.values)
            if of_target.scores is not None:
                finite &= np.isfinite(of_target.scores).all(axis=1)
        parts.append(finite)
    return np.concatenate(parts)


def _joined(answers: Sequence[tuple[Answer, ...]], position: int, order: npt.NDArray[np.intp]) -> FloatArray:
    parts = [answer[position].scores for answer in answers]
    joined: FloatArray = np.concatenate([part for part in parts if part is not None])[order]
    return joined


def _strata(targets: Targets, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any] | None:
    if targets.learning is Learning.REGRESSION or len(targets.columns) > 1:
        return None
    y = targets.columns[0].y[rows]
    _, counts = np.unique(y, return_counts=True)
    # train_test_split wants every stratum in both parts, and no fewer held rows than strata.
    fits = counts.min() > 1 and len(counts) <= HOLDOUT_SHARE * len(y)
    return y if fits else None


def _lacks_a_class(targets: Targets, fitted: npt.NDArray[np.int64]) -> bool:
    return any(len(np.unique(codes[fitted])) < len(np.unique(codes)) for codes in _codes(targets))


def _codes(targets: Targets) -> Iterator[npt.NDArray[np.int64]]:
    for column in targets.columns:
        if column.target.learning is Learning.CLASSIFICATION:
            yield column.codes
