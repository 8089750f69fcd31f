"""Scoring: from a batch of rows to the model's output columns, and the rows that it rejects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.contracts.kinds import Kind
from skfleet_common.model.arrays import BoolArray
from skfleet_common.model.frames import batch_of_frame
from skfleet_common.model.inputs import input_builder
from skfleet_common.model.manifest import Feature, FeatureDtype, Takes, Target
from skfleet_common.model.predictor import Predictor
from skfleet_common.model.refusals import counted
from skfleet_common.model.sketch import NO_SKETCHES, Sketcher, Sketches

#: By the types that outputs have, as PostgreSQL spells them.
_ARROW_TYPES = {
    "boolean": pa.bool_(),
    "bigint": pa.int64(),
    "text": pa.string(),
    "double precision": pa.float64(),
}


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
    #: Of the rows that could be read and did not make a model raise, if it was asked for.
    sketches: Sketches = NO_SKETCHES


class Scorer:
    """Scores rows: the same code for workers, for data frames and for the replay of golden rows."""

    def __init__(
        self,
        model: Any,
        *,
        features: Sequence[Feature],
        targets: Sequence[Target],
        outputs: Sequence[OutputColumn],
        more: Sequence[OutputColumn] = (),
        takes: Takes = Takes.FEATURES,
        dtype: FeatureDtype = FeatureDtype.FLOAT64,
    ) -> None:
        self._features = tuple(features)
        self._takes = takes
        self._targets = tuple(targets)
        self._columns = (*outputs, *more)
        #: What is given where nothing is asked for by name, and what only is if it is.
        self.usual = tuple(column.name for column in outputs)
        self.further = tuple(column.name for column in more)
        self.builder, estimator = input_builder(model, self._features, takes, dtype=dtype)
        self.predictor = Predictor(estimator, *self._targets)

    @property
    def width(self) -> int | None:
        """The columns of the feature array; None where the model takes something else."""
        return getattr(self.builder, "width", None)

    @property
    def columns_by_input(self) -> dict[str, list[int | str]]:
        """Where each input column is in a frame, or in an array of columns as they are."""
        names = [feature.column for feature in self._features]
        return {name: [name if self._takes is Takes.FRAME else place] for place, name in enumerate(names)}

    def score(
        self,
        batch: pa.RecordBatch | pa.Table,
        names: Collection[str] | None = None,
        *,
        sketcher: Sketcher | None = None,
    ) -> Scored:
        """Score rows as a reader gives them; see :meth:`InputBuilder.build` for what it refuses.

        ``names`` are the outputs to give, in the manifest's order: nothing is computed that none of them
        needs. Rows of which one of them is no finite number are rejected.
        """
        built = self.builder.build(batch, sketcher=sketcher)
        kept = np.ones(batch.num_rows, dtype=np.bool_)
        kept[list(built.rejects)] = False
        X = built.X[kept] if built.rejects else built.X
        rejected = [
            Reject(row, reason, quarantined=row in built.unforeseen) for row, reason in built.rejects.items()
        ]
        scored = _without_endless(Scored(rejected, kept, self.outputs(X, names)))
        if sketcher is None or built.sketch is None:
            return scored
        sketch = built.sketch + sketcher.sketch_scores(scored.outputs)
        return replace(scored, sketches=Sketches(models=(sketch,)))

    def outputs(self, X: Any, names: Collection[str] | None = None) -> pa.RecordBatch:
        """Give outputs for what :attr:`builder` has built, finite or not."""
        wanted = self.usual if names is None else names
        columns = [column for column in self._columns if column.name in wanted]
        kinds = {Kind(column.source) for column in columns}
        found: dict[str, Any] = {}
        # Some estimators cannot be asked about no rows.
        given = self.predictor.columns(X, kinds) if len(X) else {}
        for kind, values in given.items():
            of_kind = [column.name for column in self._columns if column.source == kind]
            found |= zip(of_kind, values, strict=True)
        arrays = [
            pa.array(found.get(column.name, ()), type=_ARROW_TYPES[column.warehouse_type])
            for column in columns
        ]
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])

    def features(self, frame: pd.DataFrame) -> Any:
        """Give what the model is called with for a data frame: the feature array, a row a row.

        Raises:
            Refused: a row cannot be scored.
        """
        built = self.builder.build(batch_of_frame(frame, self._features))
        if built.rejects:
            reason = next(iter(built.rejects.values()))
            raise Refused(
                f"The model rejects {counted(len(built.rejects))} of the frame ({reason}); leave them out."
            )
        return built.X


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
