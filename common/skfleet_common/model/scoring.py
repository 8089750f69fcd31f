"""Scoring: from a batch of rows to the model's output columns, and the rows that it rejects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.arrays import CANONICAL, BoolArray, FloatArray
from skfleet_common.model.features import FeatureArray, FeatureBuilder
from skfleet_common.model.frames import batch_of_frame
from skfleet_common.model.manifest import Feature, FeatureDtype, Target
from skfleet_common.model.output_names import PREDICTION, probability_columns
from skfleet_common.model.predictor import Predictor
from skfleet_common.model.refusals import counted

_WAREHOUSE_TYPES = {
    LogicalDtype.BOOLEAN: "boolean",
    LogicalDtype.INTEGER: "bigint",
    LogicalDtype.TEXT: "text",
}

#: The steps of the pipeline that a bundle holds.
FEATURES_STEP = "features"
MODEL_STEP = "model"


@dataclass(frozen=True)
class Reject:
    """A row that was not scored; ``reason`` names columns, never values."""

    row: int
    reason: str
    #: Whether no policy of the model asked for it: the row cannot be read, or not be scored.
    quarantined: bool = False


@dataclass(frozen=True)
class Scored:
    """What became of a batch: ``outputs`` has a row for each row of the batch where ``kept`` is true.

    ``rejected`` has the other rows, in their order.
    """

    rejected: list[Reject]
    kept: BoolArray
    outputs: pa.RecordBatch


class Scorer:
    """Scores rows: the same code for workers, for data frames and for the replay of golden rows."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        features: Sequence[Feature],
        target: Target,
        outputs: Sequence[OutputColumn],
        dtype: FeatureDtype = FeatureDtype.FLOAT64,
    ) -> None:
        self._features = tuple(features)
        self._target = target
        self._output_names = [column.name for column in outputs]
        self.builder = FeatureBuilder(features, pipeline.named_steps[FEATURES_STEP], dtype=dtype)
        self.predictor = Predictor(pipeline.named_steps[MODEL_STEP], target)

    def score(self, batch: pa.RecordBatch | pa.Table) -> Scored:
        """Score rows as a reader gives them; see :meth:`FeatureBuilder.build` for what it refuses."""
        built = self.builder.build(batch)
        kept = np.ones(batch.num_rows, dtype=np.bool_)
        kept[list(built.rejects)] = False
        X = built.X[kept] if built.rejects else built.X
        rejected = [
            Reject(row, reason, quarantined=row in built.unforeseen) for row, reason in built.rejects.items()
        ]
        return _without_endless(Scored(rejected, kept, self._outputs(X)))

    def features(self, frame: pd.DataFrame) -> FloatArray:
        """Give the feature array of a data frame, a row a row.

        Raises:
            Refused: a row cannot be scored.
        """
        built: FeatureArray = self.builder.build(batch_of_frame(frame, self._features))
        if built.rejects:
            reason = next(iter(built.rejects.values()))
            raise Refused(
                f"The model rejects {counted(len(built.rejects))} of the frame ({reason}); leave them out."
            )
        return built.X

    def _outputs(self, X: FloatArray) -> pa.RecordBatch:
        if self._target.classes is None:
            columns: list[npt.NDArray[Any]] = [self.predictor.predict(X)]
            kind = pa.float64()
        else:
            probabilities = self.predictor.predict_proba(X)
            columns = [self.predictor.label(X, probabilities), *probabilities.T]
            kind = CANONICAL[self._target.classes.dtype]
        if any(np.shape(values) != (len(X),) for values in columns):
            raise ValueError("the estimator gives another number of predictions than there are rows")
        kinds = [kind, *[pa.float64()] * (len(columns) - 1)]
        arrays = [pa.array(values, type=kind) for values, kind in zip(columns, kinds, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, names=self._output_names)


def _without_endless(scored: Scored) -> Scored:
    """Reject the rows for which the model gives NaN or infinity."""
    numbers = [column for column in scored.outputs.columns if pa.types.is_floating(column.type)]
    finite: BoolArray = np.ones(scored.outputs.num_rows, dtype=np.bool_)
    for column in numbers:
        finite &= np.isfinite(column.to_numpy())
    if finite.all():
        return scored
    rows = np.flatnonzero(scored.kept)[~finite].tolist()
    kept = scored.kept.copy()
    kept[rows] = False
    found = [Reject(row, "the model gives no finite number for it", quarantined=True) for row in rows]
    rejected = sorted([*scored.rejected, *found], key=lambda reject: reject.row)
    return Scored(rejected, kept, scored.outputs.filter(pa.array(finite)))


def output_columns_of(target: Target) -> tuple[OutputColumn, ...]:
    """Give the columns that a model of ``target`` adds, with PostgreSQL's types."""
    if target.classes is None:
        return (
            OutputColumn(
                name=PREDICTION, warehouse_type="double precision", source="prediction", nullable=False
            ),
        )
    kind = _WAREHOUSE_TYPES[target.classes.dtype]
    prediction = OutputColumn(name=PREDICTION, warehouse_type=kind, source="prediction", nullable=False)
    probabilities = [
        OutputColumn(name=name, warehouse_type="double precision", source="probability", nullable=False)
        for name in probability_columns(target.classes.values)
    ]
    return (prediction, *probabilities)
