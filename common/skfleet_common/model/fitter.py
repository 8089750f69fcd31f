"""Fitter: one assembly, fitted to parts of the rows again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.estimators.assembly import Assembly
from skfleet_common.model.estimators.fitting import fit_estimator
from skfleet_common.model.estimators.search import SearchPlan, search
from skfleet_common.model.out_of_sample import (
    Split,
    take,
)


class Told:
    """Tells who wants to know how many rows were fitted, of how many."""

    def __init__(self, on_rows: Callable[[int, int], None] | None, *, of: int) -> None:
        self._on_rows, self._of, self._done = on_rows, of, 0

    def fitted(self, rows: int) -> None:
        """Count more rows."""
        self._done += rows
        if self._on_rows is not None:
            self._on_rows(self._done, self._of)


class Fitter:
    """Fits the assembly to parts of the rows, and tells how far it is."""

    def __init__(
        self,
        assembly: Assembly,
        X: Any,
        y: npt.NDArray[Any],
        *,
        weights: FloatArray | None,
        told: Told,
    ) -> None:
        self._assembly, self._X, self._y, self._weights = assembly, X, y, weights
        self._told = told
        self._found: dict[str, Any] = {}

    def fit(self, rows: npt.NDArray[np.int64]) -> Any:
        """Give an estimator fitted to some rows."""
        weights = None if self._weights is None else self._weights[rows]
        # All rows are not copied: what the estimator does to them matters to nobody any more.
        X = self._X if len(rows) == len(self._y) else take(self._X, rows)
        estimator = fit_estimator(
            self._assembly.estimator(self._found),
            X,
            self._y[rows],
            weights=weights,
            name=self._assembly.model.asked,
        )
        self._told.fitted(len(rows))
        return estimator

    def search(self, plan: SearchPlan, split: Split | None) -> dict[str, Any]:
        """Fix the best parameters from here on, and give the report of the search.

        Rows that are held out do not take part, so that figures of them stay honest. Under
        cross-validation every row does, as each is held out at some time.
        """
        rows = np.arange(len(self._y))
        if split is not None and len(split.parts) == 1:
            rows = split.parts[0][0]
        weights = None if self._weights is None else self._weights[rows]
        found = search(plan, self._assembly, take(self._X, rows), self._y[rows], weights=weights)
        self._found = found.best
        return found.report | {"rows": len(rows)}
