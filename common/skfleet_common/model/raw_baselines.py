"""Raw baselines: what the columns that a model takes as they are were like in the rows that it was shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.arrays import canonical_array, numbers
from skfleet_common.model.baselines import Baseline, level_counts, of_levels, of_numbers
from skfleet_common.model.bins import LEAST_ROWS
from skfleet_common.model.manifest import Feature
from skfleet_common.model.moments import as_numbers

#: A longer text is no level of anything, even if it is met again.
_LONGEST_LEVEL = 200


def with_baselines(features: Sequence[Feature], rows: pa.Table) -> tuple[Feature, ...]:
    """Give the features with what they were like in ``rows``; nothing of what is all NULL or endless."""
    return tuple(
        feature.model_copy(
            update={"baseline": _baseline(canonical_array(rows, feature.column, feature.dtype), feature)}
        )
        for feature in features
    )


def _baseline(array: pa.Array, feature: Feature) -> Baseline | None:
    nulls = array.null_count
    if feature.levels is not None:
        return _of_categories(array, feature.levels.values)
    if feature.dtype is LogicalDtype.TEXT:
        # A text of a few rows, or a long one, may be anything; it is nobody's business who reads the bundle.
        counts = [
            (level, count)
            for level, count in level_counts(array)
            if count >= LEAST_ROWS and len(str(level)) <= _LONGEST_LEVEL
        ]
        return of_levels(counts, rows=len(array), nulls=nulls) if counts else None
    values = as_numbers(array) if pa.types.is_temporal(array.type) else numbers(array)
    missing = np.isnan(values)
    if missing.all() or np.isinf(values).any():
        return None
    return of_numbers(values, nulls=int(missing.sum()))


def _of_categories(array: pa.Array, known: Sequence[bool | int | str]) -> Baseline | None:
    """Give the baseline of categories that somebody has listed: no row is expected to have another."""
    nulls = array.null_count
    if nulls == len(array):
        return None
    listed = set(known)
    every = level_counts(array)
    counts = [(level, count) for level, count in every if level in listed]
    baseline = of_levels(counts, rows=len(array), nulls=nulls)
    unseen = len(array) - nulls - sum(count for _, count in counts)
    return baseline.model_copy(update={"unseen_rate": unseen / len(array), "single_levels": 0})
