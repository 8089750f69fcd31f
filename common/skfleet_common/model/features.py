"""Features: from a batch as read to the feature array; the one path of training, workers and clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.compose import ColumnTransformer

from skfleet_common.model.arrays import (
    CANONICAL,
    BoolArray,
    FloatArray,
    canonical_array,
    level_codes,
    missing,
    numbers,
    too_large,
)
from skfleet_common.model.manifest import Feature, FeatureKind
from skfleet_common.model.moments import moment_parts
from skfleet_common.model.policies import NullPolicy, UnseenPolicy
from skfleet_common.model.preprocessing import NUMBERS, category_name, number_columns, source_frame
from skfleet_common.model.refusals import NullRefused, UnseenLevel


class _Transformer(Protocol):
    def transform(self, X: pd.DataFrame) -> npt.ArrayLike: ...


@dataclass(frozen=True)
class FeatureArray:
    """The features of a batch, a row of ``X`` a row; rows in ``rejects`` must not be scored."""

    X: FloatArray
    #: Why a row is rejected, by its position; names columns, never values.
    rejects: dict[int, str] = field(default_factory=dict)
    #: Of these, the rows that no policy asked to reject.
    unforeseen: frozenset[int] = frozenset()


class FeatureBuilder:
    """Builds feature arrays with a fitted transformer.

    A category's encoder sees each level once, here; rows then look their level's encoding up. That
    gives what the encoder would give row by row, several times faster.
    """

    def __init__(self, features: Sequence[Feature], transformer: ColumnTransformer) -> None:
        self._features = tuple(features)
        self._slices: dict[str, slice] = transformer.output_indices_
        self._numbers: _Transformer | None = transformer.named_transformers_.get(NUMBERS)
        self._number_columns = number_columns(features)
        self._levels: dict[str, pa.Array] = {}
        self._encodings: dict[str, FloatArray] = {}
        for position, feature in enumerate(self._features):
            if feature.levels is not None:
                levels = pa.array(feature.levels.values, type=CANONICAL[feature.dtype])
                encoder = transformer.named_transformers_[category_name(position)]
                self._levels[feature.column] = levels
                self._encodings[feature.column] = _encodings(feature, levels, encoder)
        self.width = max((part.stop for part in self._slices.values()), default=0)

    def build(self, source: pa.RecordBatch | pa.Table) -> FeatureArray:
        """Give the features of every row of ``source``, in which columns may come in any order.

        Raises:
            MissingColumn: a feature is not there.
            TypeChanged: a column holds something else than in training.
            NullRefused: a feature is NULL, and its policy is error.
            UnseenLevel: a level is unseen, and its policy is error.
        """
        X = np.empty((source.num_rows, self.width), dtype=np.float64)
        plain: list[FloatArray] = []
        rejects: dict[int, str] = {}
        unforeseen: dict[int, str] = {}
        for position, feature in enumerate(self._features):
            array = canonical_array(source, feature.column, feature.dtype)
            _reject(unforeseen, too_large(array), f"{feature.column} is infinite or too large")
            _screen_nulls(feature, array, rejects)
            if feature.kind is FeatureKind.CATEGORY:
                codes = level_codes(array, self._levels[feature.column])
                _screen_levels(feature, codes, rejects)
                encoded = np.take(self._encodings[feature.column], codes, axis=0)
                X[:, self._slices[category_name(position)]] = encoded
            elif feature.kind is FeatureKind.MOMENT:
                plain += moment_parts(array, feature.parts)
            else:
                plain.append(numbers(array))
        if plain:
            self._transform_numbers(plain, X[:, self._slices[NUMBERS]], rejects=[*rejects, *unforeseen])
        every = dict(sorted((unforeseen | rejects).items()))
        return FeatureArray(X, every, frozenset(unforeseen.keys() - rejects.keys()))

    def _transform_numbers(self, plain: list[FloatArray], into: FloatArray, *, rejects: list[int]) -> None:
        for position, values in enumerate(plain):
            into[:, position] = values
        if self._numbers is None or len(into) == 0:
            return
        if rejects:
            # Infinite values would make scikit-learn refuse the rows beside them.
            into[rejects] = 0.0
        frame = pd.DataFrame(into, columns=self._number_columns, copy=False)
        into[:] = np.asarray(self._numbers.transform(frame))


def _screen_nulls(feature: Feature, array: pa.Array, rejects: dict[int, str]) -> None:
    if feature.nulls is NullPolicy.MISSING:
        return
    flags = missing(array)
    if flags is not None and feature.nulls is NullPolicy.ERROR:
        raise NullRefused.in_rows(feature.column, int(flags.sum()))
    _reject(rejects, flags, f"{feature.column} is NULL")


def _screen_levels(feature: Feature, codes: npt.NDArray[np.int32], rejects: dict[int, str]) -> None:
    if feature.unseen is UnseenPolicy.OTHER or feature.levels is None:
        return
    flags = codes == len(feature.levels.values)
    if feature.unseen is UnseenPolicy.ERROR and flags.any():
        raise UnseenLevel.in_rows(feature.column, int(flags.sum()))
    _reject(rejects, flags, f"{feature.column} holds a level that the model never saw")


def _reject(rejects: dict[int, str], flags: BoolArray | None, reason: str) -> None:
    if flags is not None:
        for row in np.flatnonzero(flags).tolist():
            rejects.setdefault(row, reason)


def _encodings(feature: Feature, levels: pa.Array, encoder: _Transformer) -> FloatArray:
    """Give the encoding of every level, of an unseen one and of a missing one, in the order of the codes."""
    values = pa.concat_arrays([levels, pa.array([_unseen(levels), None], type=levels.type)])
    frame = source_frame(pa.table({feature.column: values}), [feature])
    encodings: FloatArray = np.ascontiguousarray(encoder.transform(frame), dtype=np.float64)
    return encodings


def _unseen(levels: pa.Array) -> int | str:
    """Give a value that is not among the levels."""
    if pa.types.is_integer(levels.type):
        return 1 + max((abs(level) for level in levels.to_pylist()), default=0)
    return "x" + max(levels.to_pylist(), key=len, default="")
