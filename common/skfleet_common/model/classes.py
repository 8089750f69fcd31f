"""Classes: what a fitted estimator calls them, as the values that the manifest names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import shown
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.manifest import Target
from skfleet_common.model.refusals import Misbehaved, counted


class Classes:
    """The classes of one target; ``fitted`` are those that the estimator names, in its own order.

    An estimator may number the classes: then its 0 is the manifest's first, whatever that is.
    """

    def __init__(self, target: Target, fitted: Any) -> None:
        self.column = target.column
        self.values = class_values(target)
        named = self.values if fitted is None else np.asarray(fitted)
        codes = _positions(self.values, named)
        self._known = self.values
        if (codes < 0).any() or len(named) != len(self.values):
            numbered = np.arange(len(self.values))
            codes, self._known = _positions(numbered, named), numbered
        if sorted(codes.tolist()) != list(range(len(self.values))):
            raise Misbehaved(
                f"The estimator learned other classes of {self.column!r} than the rows have; its "
                "classes_ must be the values of the target."
            )
        is_in_order = bool((codes == np.arange(len(codes))).all())
        self._order = None if is_in_order else np.argsort(codes)

    def labels(self, predicted: Any, *, rows: int) -> npt.NDArray[Any]:
        """Give predicted classes as values of the target.

        Raises:
            Misbehaved: there is not one a row, or one is no class.
        """
        raw = one_a_row(predicted, rows=rows)
        codes = _positions(self._known, raw)
        if (codes < 0).any():
            wrong = shown(repr(raw[codes < 0][0]))
            raise Misbehaved(
                f"The estimator predicts {wrong}, which is no class of {self.column!r}; its predict must "
                "give classes that it was fitted on."
            )
        labels: npt.NDArray[Any] = self.values[codes]
        return labels

    def scores(self, given: Any, *, rows: int) -> FloatArray:
        """Give probabilities or decision values, a column a class, in the order of the values."""
        raw = dense(given).astype(np.float64, copy=False)
        if raw.shape != (rows, len(self.values)):
            raise Misbehaved(
                f"The estimator gives scores of shape {raw.shape} for {counted(rows)} and "
                f"{len(self.values)} classes of {self.column!r}; it must give one a row and class."
            )
        ordered: FloatArray = raw if self._order is None else raw[:, self._order]
        return ordered


def class_values(target: Target) -> npt.NDArray[Any]:
    """Give the classes as an array of booleans, 64-bit integers or text objects."""
    if target.classes is None:
        return np.empty(0)
    values: Sequence[object] = target.classes.values
    kinds = {LogicalDtype.BOOLEAN: np.bool_, LogicalDtype.INTEGER: np.int64}
    return np.array(values, dtype=kinds.get(target.classes.dtype, object))


def one_a_row(predicted: Any, *, rows: int) -> npt.NDArray[Any]:
    """Give predictions as one dimension.

    Raises:
        Misbehaved: there is not one a row.
    """
    raw = dense(predicted)
    if raw.ndim == 2 and raw.shape[1] == 1:  # noqa: PLR2004  (a column of one)
        raw = raw[:, 0]
    if raw.shape != (rows,):
        raise Misbehaved(
            f"The estimator gives predictions of shape {raw.shape} for {counted(rows)}; its predict must "
            "give one a row."
        )
    return raw


def table_of(given: Any, *, rows: int) -> FloatArray:
    """Give an answer of any number of columns.

    Raises:
        Misbehaved: it is no table of numbers with a row a row.
    """
    raw = dense(given)
    if raw.ndim == 1:
        raw = raw.reshape(-1, 1)
    if raw.ndim != 2 or len(raw) != rows or raw.dtype.kind not in "biuf":  # noqa: PLR2004
        raise Misbehaved(
            f"The model gives {raw.dtype} of shape {raw.shape} for {counted(rows)}; it must give numbers, a "
            "row for each."
        )
    return raw.astype(np.float64, copy=False)


def dense(given: Any) -> npt.NDArray[Any]:
    """Give an estimator's answer as an array, whether it was one, a list, a data frame or sparse."""
    return np.asarray(given.toarray() if hasattr(given, "toarray") else given)


def _positions(known: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Give where each value stands among the known ones; -1 where it does not."""
    if known.dtype == object:
        found: npt.NDArray[np.intp] = pd.Index(known).get_indexer(values.astype(object))
        return found
    if values.dtype.kind not in "biuf":
        values = pd.to_numeric(pd.Series(values.astype(object)), errors="coerce").to_numpy(np.float64)
    # Integers beyond 2**53 would share a double.
    kind = np.int64 if values.dtype.kind in "biu" else np.float64
    found = pd.Index(known.astype(kind)).get_indexer(values.astype(kind))
    return found  # noqa: RET504  (pandas has no types here)
