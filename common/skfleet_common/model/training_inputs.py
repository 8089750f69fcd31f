"""Training inputs: what an estimator is fitted to, a row a training row, and what makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.compose import ColumnTransformer

from skfleet_common.model.estimators.asked import AskedModel
from skfleet_common.model.estimators.assembly import MAX_CATEGORICAL_LEVELS
from skfleet_common.model.features import FeatureBuilder
from skfleet_common.model.fitted_features import (
    category_positions,
    positions_by_column,
)
from skfleet_common.model.frame_inputs import FrameBuilder
from skfleet_common.model.manifest import Feature, Takes
from skfleet_common.model.preprocessing import make_transformer, source_frame, styled
from skfleet_common.model.training import TrainingRows


@dataclass(frozen=True)
class TrainingInputs:
    """The input of every row, and what makes it."""

    X: Any
    takes: Takes
    features: tuple[Feature, ...]
    transformer: ColumnTransformer | None = None
    categorical: tuple[int, ...] = ()

    @property
    def columns_by_input(self) -> dict[str, list[int | str]]:
        """Where in ``X`` each input column is."""
        if self.transformer is None:
            return {feature.column: [feature.column] for feature in self.features}
        return positions_by_column(self.features, self.transformer)


def training_inputs(rows: TrainingRows, asked: AskedModel) -> TrainingInputs:
    """Build the feature array that the model wants, or the frame of the columns as they are."""
    if asked.traits.wants_frame:
        X = FrameBuilder(rows.features, Takes.FRAME).build(rows.table).X
        return TrainingInputs(X, Takes.FRAME, rows.features)
    features = styled(rows.features, asked.style)
    transformer = make_transformer(features, asked.style)
    transformer.fit(source_frame(rows.table, features))
    X = FeatureBuilder(features, transformer, dtype=asked.traits.dtype).build_for_training(rows.table)
    codes = category_positions(features, transformer, up_to=MAX_CATEGORICAL_LEVELS)
    return TrainingInputs(X, Takes.FEATURES, features, transformer, tuple(codes))
