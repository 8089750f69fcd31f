"""Inputs: what a model is called with, built from a batch as read; and how each kind of model wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
from sklearn.pipeline import Pipeline

from skfleet_common.model.features import FeatureBuilder
from skfleet_common.model.frame_inputs import FrameBuilder
from skfleet_common.model.manifest import Feature, FeatureDtype, Takes
from skfleet_common.model.sketch import Sketch, Sketcher

#: The steps of the pipeline that a bundle holds whose features skfleet builds.
FEATURES_STEP = "features"
MODEL_STEP = "model"


class Built(Protocol):
    """The inputs of a batch; rows in ``rejects`` must not be scored."""

    @property
    def X(self) -> Any:  # noqa: N802  (scikit-learn's own name)
        """A float array, an array of objects or a data frame, a row a row of the batch."""

    @property
    def rejects(self) -> Mapping[int, str]:
        """Why a row is rejected, by its position; names columns, never values."""

    @property
    def unforeseen(self) -> frozenset[int]:
        """Of these, the rows that no policy asked to reject."""

    @property
    def sketch(self) -> Sketch | None:
        """The rows counted into bins, if that was asked for."""


class InputBuilder(Protocol):
    """What stands between a reader's batch and the model."""

    def build(self, source: pa.RecordBatch | pa.Table, *, sketcher: Sketcher | None = None) -> Built:
        """Give the inputs of every row of ``source``, in which columns may come in any order.

        With ``sketcher``, also a sketch of them.

        Raises:
            MissingColumn: a column is not there.
            TypeChanged: a column holds something else than in training.
            NullRefused: a column is NULL, and its policy is error.
            UnseenLevel: a level is unseen, and its policy is error.
        """


def is_of_kind(model: object, takes: Takes) -> bool:
    """Whether a bundle's model has the parts that :func:`input_builder` looks for."""
    if takes is not Takes.FEATURES:
        return True
    return isinstance(model, Pipeline) and list(model.named_steps) == [FEATURES_STEP, MODEL_STEP]


def input_builder(
    model: Any, features: Sequence[Feature], takes: Takes, *, dtype: FeatureDtype = FeatureDtype.FLOAT64
) -> tuple[InputBuilder, Any]:
    """Give what builds the inputs of a bundle's model, and the estimator that takes them."""
    if takes is not Takes.FEATURES:
        return FrameBuilder(features, takes), model
    builder = FeatureBuilder(features, model.named_steps[FEATURES_STEP], dtype=dtype)
    return builder, model.named_steps[MODEL_STEP]
