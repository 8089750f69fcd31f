"""Steps: a pipeline that takes sample weights as an estimator does."""

from __future__ import annotations

from typing import Any, Self

from sklearn.pipeline import Pipeline


class WeightedPipeline(Pipeline):  # type: ignore[misc]  # scikit-learn has no types
    """A pipeline whose last step gets the ``sample_weight`` of ``fit``.

    scikit-learn's own wants it under the step's name, which what holds a pipeline (calibration, one
    estimator a target) does not know.
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit all steps; weights are the last one's."""
        name, _ = self.steps[-1]
        weights = {} if sample_weight is None else {f"{name}__sample_weight": sample_weight}
        super().fit(X, y, **weights)
        return self
