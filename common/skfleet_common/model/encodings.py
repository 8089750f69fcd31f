"""Encodings: what a fitted encoder makes of each level of a category, worked out once and then looked up.

That gives what the encoder would give row by row, several times faster.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from skfleet_common.model.arrays import CANONICAL, FloatArray, level_codes
from skfleet_common.model.manifest import Feature
from skfleet_common.model.preprocessing import category_values

Codes = npt.NDArray[np.int32]


class _Transformer(Protocol):
    def transform(self, X: pd.DataFrame) -> npt.ArrayLike: ...


class Encoding:
    """The encodings of one category's levels, of an unseen one and of a missing one."""

    def __init__(self, feature: Feature, encoder: _Transformer, *, name: str) -> None:
        """Take what ``encoder`` makes of the column that is called ``name`` in the source frame."""
        self._levels = pa.array(feature.known_levels, type=CANONICAL[feature.dtype])
        #: The code of every unseen level.
        self.unseen = len(self._levels)
        extremes = pa.array([_stranger(self._levels), None], type=self._levels.type)
        values = pa.concat_arrays([self._levels, extremes])
        frame = pd.DataFrame({name: category_values(values)})
        self._table: FloatArray = np.ascontiguousarray(encoder.transform(frame), dtype=np.float64)
        self._hot = _hot_columns(self._table)

    def codes(self, array: pa.Array) -> Codes:
        """Give each row's code: the position of its level, or that of the unseen or the missing one."""
        return level_codes(array, self._levels)

    def write(self, codes: Codes, into: npt.NDArray[np.floating]) -> None:
        """Write the rows' encodings into their columns, which hold zeros."""
        if self._hot is None:
            into[:] = np.take(self._table, codes, axis=0)
        else:
            into[np.arange(len(codes)), self._hot[codes]] = 1.0


def _hot_columns(table: FloatArray) -> npt.NDArray[np.intp] | None:
    """Give the only column that is not zero, by code, if every encoding is one-hot."""
    if table.shape[1] == 1 or not ((table == 1.0).sum(axis=1) == 1).all() or not np.isin(table, (0, 1)).all():
        return None
    columns: npt.NDArray[np.intp] = table.argmax(axis=1)
    return columns


def _stranger(levels: pa.Array) -> int | str:
    """Give a value that is not among the levels."""
    if pa.types.is_integer(levels.type):
        return 1 + max((abs(level) for level in levels.to_pylist()), default=0)
    return "x" + max(levels.to_pylist(), key=len, default="")
