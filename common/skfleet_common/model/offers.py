"""Offers: what a fitted estimator can say of a row, found out by asking it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.contracts.kinds import METHODS, Kind, word_of
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.manifest import FeatureManifest, Learning, Target
from skfleet_common.model.outputs import (
    MAX_OUTPUT_COLUMNS,
    component_columns,
    decision_columns,
    label_column,
    output_columns_of,
    part_columns,
)
from skfleet_common.model.predictor import Predictor, Scores
from skfleet_common.model.refusals import Misbehaved

#: Rows that tell what an estimator answers with.
PROBED_ROWS = 100


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


def outputs_of(
    estimator: Any,
    targets: Sequence[Target],
    X: Any,
    *,
    scores: Scores,
    inputs: Sequence[str],
    tolerance: float,
) -> tuple[tuple[OutputColumn, ...], tuple[OutputColumn, ...]]:
    """Give the columns that the estimator adds to a table, and those that it adds where they are asked for.

    ``X``: some rows; ``inputs`` are the names of its columns. Of an estimator without a target, what it adds
    is all that it says of labels; its components only where that is nothing.

    Raises:
        Refused: they are more than a table can have.
    """
    probe = _Probe(estimator, targets, X.iloc[:PROBED_ROWS] if _is_frame(X) else X[:PROBED_ROWS], tolerance)
    if targets[0].learning is Learning.UNSUPERVISED:
        outputs = _of_labels(probe, targets[0])
    else:
        outputs = output_columns_of(targets, scores)
    more: tuple[OutputColumn, ...] = ()
    sources = {column.source for column in outputs}
    if targets[0].classes is not None and not sources & {Kind.DECISION}:
        found = probe.ask(Kind.DECISION)
        more += () if found is None else decision_columns(targets[0], taken=[*outputs])
    found = probe.ask(Kind.TRANSFORMED)
    if found is not None:
        names = _names_of_components(estimator, inputs, width=found.shape[1])
        more += component_columns(names, taken=[*outputs, *more])
    if not outputs:
        outputs, more = more, ()
    if len(outputs) > MAX_OUTPUT_COLUMNS:
        raise Refused(
            f"The model gives {len(outputs):,} columns, and a table may get {MAX_OUTPUT_COLUMNS:,}; let its "
            "last step give fewer."
        )
    # What no table could hold beside the rest is not offered.
    return outputs, more if len(outputs) + len(more) <= MAX_OUTPUT_COLUMNS else ()


def lacks(manifest: FeatureManifest, kind: Kind) -> str:
    """Say that a model does not give outputs of a kind, and what to do."""
    given = ", ".join(dict.fromkeys(word_of(Kind(column.source)) for column in manifest.all_outputs))
    leave = f"leave {word_of(kind)} out of --outputs (the model gives {given})"
    target = manifest.target
    if kind is Kind.PROBABILITY and target.learning is Learning.REGRESSION:
        return f"{manifest.name} predicts the amount {target.column!r}, which has no probabilities; {leave}."
    if kind is Kind.PROBABILITY and target.learning is Learning.CLASSIFICATION:
        leave += ", or train it with --calibrate sigmoid"
    return f"{manifest.name} has no {METHODS[kind]} that its bundle lists; {leave}."


class _Probe:
    """Asks an estimator the same thing several times over."""

    def __init__(self, estimator: Any, targets: Sequence[Target], X: Any, tolerance: float) -> None:
        self._estimator = estimator
        self._predictor = Predictor(estimator, *targets)
        self._is_single = len(targets) == 1
        self._X = X
        self._tolerance = max(tolerance, 1e-12)

    def ask(self, kind: Kind) -> FloatArray | None:
        """Give what is said of the rows; None if nothing is, or not the same again or in parts."""
        calls: dict[Kind, Callable[[Any], FloatArray]] = {
            Kind.PROBABILITY: lambda X: self._predictor.probabilities(X)[0],
            Kind.DECISION: self._predictor.decisions,
            Kind.TRANSFORMED: self._predictor.transformed,
        }
        call, middle = calls[kind], len(self._X) // 2
        try:
            if not hasattr(self._estimator, METHODS[kind]) or (kind is Kind.DECISION and not self._is_single):
                return None
            whole, again = call(self._X), call(self._X)
            parts = [self._X[:middle], self._X[middle:]] if middle else [self._X]
            cut = np.concatenate([call(part) for part in parts])
        except Exception:  # noqa: BLE001  (whatever it raises: it is not offered, and the model is good without)
            return None
        finite = np.isfinite(whole)
        size = self._tolerance * float(np.abs(whole[finite]).max(initial=0.0))
        same = np.array_equal(whole, again, equal_nan=True) and np.allclose(
            whole, cut, rtol=self._tolerance, atol=size, equal_nan=True
        )
        # A row without a finite number is one to reject; there must be others.
        return whole if same and whole.shape[1] and finite.all(axis=1).any() else None


def _of_labels(probe: _Probe, target: Target) -> tuple[OutputColumn, ...]:
    """Give what a model without a target says of labels: of clusters with probabilities, or of outliers."""
    if not target.column:
        return ()
    outputs: tuple[OutputColumn, ...] = (label_column(target),)
    found = probe.ask(Kind.PROBABILITY)
    if found is not None:
        return (*outputs, *part_columns(found.shape[1]))
    return outputs if probe.ask(Kind.DECISION) is None else (*outputs, *decision_columns(target, taken=()))


def _names_of_components(estimator: Any, inputs: Sequence[str], *, width: int) -> list[str]:
    """Give the estimator's own names for what it makes of a row, or none."""
    for arguments in ([list(inputs)], []):
        try:
            names = [str(name) for name in estimator.get_feature_names_out(*arguments)]
        except Exception:  # noqa: BLE001, S112  (many have none, or none for these names)
            continue
        if len(names) == width:
            return names
    return [f"component_{place}" for place in range(width)]


def _is_frame(X: Any) -> bool:
    return isinstance(X, pd.DataFrame)
