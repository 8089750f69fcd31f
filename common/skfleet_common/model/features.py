"""Features: from a batch as read to the feature array; the one path of training, workers and clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.compose import ColumnTransformer

from skfleet_common.contracts.errors import Refused
from skfleet_common.model.arrays import (
    LARGEST_NUMBER,
    BoolArray,
    FloatArray,
    canonical_array,
    missing,
    numbers,
    too_large,
)
from skfleet_common.model.blanks import without_blanks
from skfleet_common.model.encodings import Codes, Encoding
from skfleet_common.model.manifest import Feature, FeatureDtype, FeatureKind
from skfleet_common.model.moments import BEYOND, as_numbers, beyond, moment_parts
from skfleet_common.model.policies import NullPolicy, UnseenPolicy
from skfleet_common.model.preprocessing import NumberGroup, category_name, number_groups, source_columns
from skfleet_common.model.refusals import NullRefused, UnseenLevel, counted
from skfleet_common.model.sketch import Sketch, Sketcher


@dataclass(frozen=True)
class FeatureArray:
    """The features of a batch, a row of ``X`` a row; rows in ``rejects`` must not be scored."""

    X: FloatArray
    #: Why a row is rejected, by its position; names columns, never values.
    rejects: dict[int, str] = field(default_factory=dict)
    #: Of these, the rows that no policy asked to reject.
    unforeseen: frozenset[int] = frozenset()
    #: If one was asked for.
    sketch: Sketch | None = None


class FeatureBuilder:
    """Builds feature arrays with a fitted transformer."""

    def __init__(
        self,
        features: Sequence[Feature],
        transformer: ColumnTransformer,
        *,
        dtype: FeatureDtype = FeatureDtype.FLOAT64,
    ) -> None:
        self._features = tuple(features)
        self._dtype = np.dtype(dtype.value)
        self._slices: dict[str, slice] = transformer.output_indices_
        self._groups = [
            (group, transformer.named_transformers_[group.name]) for group in number_groups(features)
        ]
        self._encodings = {
            position: Encoding(
                feature, transformer.named_transformers_[category_name(position)], name=names[0]
            )
            for position, (feature, names) in enumerate(zip(features, source_columns(features), strict=True))
            if feature.kind is FeatureKind.CATEGORY
        }
        self.width = max((part.stop for part in self._slices.values()), default=0)

    def build(self, source: pa.RecordBatch | pa.Table, *, sketcher: Sketcher | None = None) -> FeatureArray:
        """Give the features of every row of ``source``, in which columns may come in any order.

        With ``sketcher``, also a sketch of them.

        Raises:
            MissingColumn: a feature is not there.
            TypeChanged: a column holds something else than in training.
            NullRefused: a feature is NULL, and its policy is error.
            UnseenLevel: a level is unseen, and its policy is error.
        """
        # The kernel gives zeroed memory for nothing, and most of a one-hot array is zero.
        X = np.zeros((source.num_rows, self.width), dtype=self._dtype)
        plain: dict[int, list[FloatArray]] = {}
        rejects: dict[int, str] = {}
        unforeseen: dict[int, str] = {}
        #: What a sketch is drawn from, by feature.
        seen: dict[int, npt.NDArray[Any]] = {}
        for position, feature in enumerate(self._features):
            array = without_blanks(canonical_array(source, feature.column, feature.dtype), feature.blanks)
            for flags, reason in unusable(array):
                _reject(unforeseen, flags, f"{feature.column} {reason}")
            _screen_nulls(feature, array, rejects)
            if feature.kind is FeatureKind.CATEGORY:
                encoding = self._encodings[position]
                codes = encoding.codes(array)
                _screen_levels(feature, codes, rejects, unseen=encoding.unseen)
                encoding.write(codes, X[:, self._slices[category_name(position)]])
                seen[position] = codes
            elif feature.kind is FeatureKind.MOMENT:
                plain[position] = moment_parts(array, feature.parts)
                if sketcher is not None:
                    seen[position] = as_numbers(array)
            else:
                plain[position] = [numbers(array)]
                seen[position] = plain[position][0]
        for group, transformer in self._groups:
            values = [part for position in group.features for part in plain[position]]
            into = X[:, self._slices[group.name]]
            self._write_numbers(group, transformer, values, into, rejects=rejects, unforeseen=unforeseen)
        every = dict(sorted((unforeseen | rejects).items()))
        sketch = None
        if sketcher is not None:
            sketch = sketcher.sketch_features(seen, rows=source.num_rows, rejected=list(every))
        return FeatureArray(X, every, frozenset(unforeseen.keys() - rejects.keys()), sketch)

    def build_for_training(self, table: pa.Table) -> FloatArray:
        """Give the features of rows that no policy rejects.

        Raises:
            Refused: scaling makes more of a number than a model can take.
        """
        built = self.build(table)
        if built.rejects:
            reason = next(iter(built.rejects.values()))
            raise Refused(
                f"In {counted(len(built.rejects))}, {reason}; ask for another scale, or leave the column out."
            )
        return built.X

    def _write_numbers(
        self,
        group: NumberGroup,
        transformer: ColumnTransformer,
        values: list[FloatArray],
        into: FloatArray,
        *,
        rejects: dict[int, str],
        unforeseen: dict[int, str],
    ) -> None:
        skipped = [*rejects, *unforeseen]
        # Column by column, as the values come and as scikit-learn goes through them.
        block = into if group.is_plain else np.empty(into.shape, order="F")
        # What is too large for a float32 is so for the model: its row is skipped.
        with np.errstate(over="ignore"):
            for position, column in enumerate(values):
                block[:, position] = column
        if skipped:
            # What is infinite would make scikit-learn refuse the rows beside it.
            block[skipped] = 0.0
        if group.is_plain or len(block) == 0:
            return
        # A number that a model can take may have no double, or no float32, once it is scaled.
        with np.errstate(over="ignore"):
            frame = pd.DataFrame(block, columns=list(group.columns), copy=False)
            scaled = np.asarray(transformer.transform(frame), dtype=np.float64)
        # Also if one of them is missing, which is neither.
        if not (scaled.max() <= LARGEST_NUMBER and scaled.min() >= -LARGEST_NUMBER):
            for name, column in zip(group.columns, scaled.T, strict=True):
                _reject(unforeseen, np.abs(column) > LARGEST_NUMBER, f"{name} is too large once it is scaled")
            scaled[list(unforeseen)] = 0.0
        into[:] = scaled


def unusable(array: pa.Array) -> list[tuple[BoolArray, str]]:
    """Give the rows that no model can take, and why: their numbers or moments are out of range."""
    found = ((too_large(array), "is infinite or too large"), (beyond(array), BEYOND))
    return [(flags, reason) for flags, reason in found if flags is not None]


def _screen_nulls(feature: Feature, array: pa.Array, rejects: dict[int, str]) -> None:
    if feature.nulls is NullPolicy.MISSING:
        return
    flags = missing(array)
    if flags is not None and feature.nulls is NullPolicy.ERROR:
        raise NullRefused.in_rows(feature.column, int(flags.sum()))
    _reject(rejects, flags, f"{feature.column} is NULL")


def _screen_levels(feature: Feature, codes: Codes, rejects: dict[int, str], *, unseen: int) -> None:
    if feature.unseen is UnseenPolicy.OTHER:
        return
    flags = codes == unseen
    if feature.unseen is UnseenPolicy.ERROR and flags.any():
        raise UnseenLevel.in_rows(feature.column, int(flags.sum()))
    _reject(rejects, flags, f"{feature.column} holds a level that the model never saw")


def _reject(rejects: dict[int, str], flags: BoolArray | None, reason: str) -> None:
    if flags is not None:
        for row in np.flatnonzero(flags).tolist():
            rejects.setdefault(row, reason)
