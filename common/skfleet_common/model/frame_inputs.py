"""Frame inputs: a batch as the data frame, or the plain array, that a model of somebody else's making takes.

Every column has one pandas dtype, which follows from the manifest and never from the batch: whole numbers
that became floats because a batch has a NULL would be other categories to a pipeline that makes text of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.arrays import CANONICAL, canonical_array, level_codes, missing, numbers
from skfleet_common.model.bins import raw_codes
from skfleet_common.model.blanks import without_blanks
from skfleet_common.model.manifest import Feature, Takes
from skfleet_common.model.policies import NullPolicy, UnseenPolicy
from skfleet_common.model.refusals import NullRefused, UnseenLevel
from skfleet_common.model.sketch import Sketch, Sketcher

#: What an array of floats can hold; any other column makes it an array of objects.
NUMERIC = frozenset(
    {
        LogicalDtype.INTEGER,
        LogicalDtype.FLOAT32,
        LogicalDtype.FLOAT64,
        LogicalDtype.DECIMAL,
        LogicalDtype.BOOLEAN,
    }
)


@dataclass(frozen=True)
class FrameInputs:
    """The inputs of a batch, a row of ``X`` a row; see :class:`inputs.Built`."""

    X: Any
    rejects: dict[int, str] = field(default_factory=dict)
    unforeseen: frozenset[int] = frozenset()
    sketch: Sketch | None = None


class FrameBuilder:
    """Builds the inputs of models whose preprocessing, if any, is their own."""

    def __init__(self, features: Sequence[Feature], takes: Takes) -> None:
        self._features = tuple(features)
        self._takes = takes
        self._is_numeric = all(feature.dtype in NUMERIC and not feature.levels for feature in features)

    def build(self, source: pa.RecordBatch | pa.Table, *, sketcher: Sketcher | None = None) -> FrameInputs:
        """Give the columns in the model's order; see :meth:`inputs.InputBuilder.build`."""
        rejects: dict[int, str] = {}
        arrays = [
            without_blanks(canonical_array(source, f.column, f.dtype), f.blanks) for f in self._features
        ]
        for feature, array in zip(self._features, arrays, strict=True):
            _screen(feature, array, rejects)
        rejects = dict(sorted(rejects.items()))
        sketch = None
        if sketcher is not None:
            seen = {place: raw_codes(arrays[place], self._features[place]) for place in sketcher.features}
            sketch = sketcher.sketch_features(seen, rows=source.num_rows, rejected=list(rejects))
        if self._takes is Takes.ARRAY and self._is_numeric:
            plain = [numbers(array) for array in arrays]
            X = np.column_stack(plain) if plain else np.empty((0, 0))
            return FrameInputs(X, rejects, sketch=sketch)
        columns = {
            feature.column: pandas_column(array, feature, rejects=rejects)
            for feature, array in zip(self._features, arrays, strict=True)
        }
        frame = pd.DataFrame(columns)
        X = frame if self._takes is Takes.FRAME else frame.astype(object).to_numpy(dtype=object)
        return FrameInputs(X, rejects, sketch=sketch)


def pandas_column(array: pa.Array, feature: Feature, *, rejects: dict[int, str]) -> pd.Series:
    """Give a canonical array as the pandas column that docs/models.md promises.

    Rejected rows hold something of the right dtype, which means nothing.
    """
    if feature.levels is not None:
        levels = pa.array(feature.levels.values, type=array.type)
        codes = level_codes(array, levels)
        known = np.where(codes < len(levels), codes, -1)
        return pd.Series(pd.Categorical.from_codes(known, categories=levels.to_pandas()))
    if feature.dtype is LogicalDtype.DATE:
        array = array.cast(pa.timestamp("us"))
    holds_nulls = feature.nulls is NullPolicy.MISSING
    if feature.dtype is LogicalDtype.INTEGER:
        return pd.Series(numbers(array)) if holds_nulls else pd.Series(_filled(array, 0, rejects).to_numpy())
    if feature.dtype is LogicalDtype.BOOLEAN:
        if not holds_nulls:
            return pd.Series(_filled(array, False, rejects).to_numpy(zero_copy_only=False))
        values = [np.nan if value is None else value for value in array.to_pylist()]
        return pd.Series(values, dtype=object)
    return array.to_pandas()


def _filled(array: pa.Array, value: int | bool, rejects: dict[int, str]) -> pa.Array:
    """Give the array without the NULLs of rows that are rejected anyway."""
    return array.fill_null(value) if rejects and array.null_count else array


def _screen(feature: Feature, array: pa.Array, rejects: dict[int, str]) -> None:
    flags = None if feature.nulls is NullPolicy.MISSING else missing(array)
    if flags is not None:
        if feature.nulls is NullPolicy.ERROR:
            raise NullRefused.in_rows(feature.column, int(flags.sum()), is_raw=True)
        for row in np.flatnonzero(flags).tolist():
            rejects.setdefault(row, f"{feature.column} is NULL")
    if feature.levels is None or feature.unseen is UnseenPolicy.OTHER:
        return
    codes = level_codes(array, pa.array(feature.levels.values, type=CANONICAL[feature.dtype]))
    unseen = codes == len(feature.levels.values)
    if feature.unseen is UnseenPolicy.ERROR and unseen.any():
        raise UnseenLevel.in_rows(feature.column, int(unseen.sum()), is_registered=True)
    for row in np.flatnonzero(unseen).tolist():
        rejects.setdefault(row, f"{feature.column} holds a level that the model never saw")
