"""Baselines: what each feature was like in training, against which later rows can be held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import FiniteFloat, NonNegativeFloat, NonNegativeInt, StrictBool, StrictInt, StrictStr

from skfleet_common.contracts.shapes import Shape
from skfleet_common.model.arrays import FloatArray

#: In the middle of the training rows lies 0.5; the ends are the smallest and the largest.
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)

#: Levels whose share is worth to be watched.
TOP_LEVELS = 20


class LevelShare(Shape):
    """How often a level was met, among all rows."""

    level: StrictBool | StrictInt | StrictStr
    share: NonNegativeFloat


class Baseline(Shape):
    """A feature in the rows that the model was fitted on."""

    null_rate: NonNegativeFloat
    #: At :data:`QUANTILES`, of the values that are not missing: a moment's in days or seconds since
    #: 1970-01-01 UTC, a time's in seconds since midnight; empty for a category.
    quantiles: tuple[FiniteFloat, ...] = ()
    #: The share of all rows up to each of :attr:`ends`, and above the one before.
    shares: tuple[NonNegativeFloat, ...] = ()
    #: Rows that have the smallest value, and rows that have the largest; 1 where nobody wrote it down.
    least_rows: NonNegativeInt = 1
    most_rows: NonNegativeInt = 1
    #: The most frequent levels of a category, most frequent first.
    top_levels: tuple[LevelShare, ...] = ()
    #: Levels that one row has: of as many rows, as many are to be expected to have a level that nobody met.
    single_levels: NonNegativeInt = 0
    #: Levels that are not the model's; training meets none, a sample of a model from elsewhere may.
    unseen_rate: NonNegativeFloat = 0.0

    @property
    def ends(self) -> tuple[float, ...]:
        """The different quantiles but for the smallest value, which the first of them may be nevertheless."""
        return tuple(dict.fromkeys(self.quantiles[1:]))


class ScoreHistogram(Shape):
    """How an output of the model was distributed out of sample: a share of rows between two edges."""

    output: str
    edges: tuple[FiniteFloat, ...]
    shares: tuple[NonNegativeFloat, ...]
    #: Rows that were counted; 0 where nobody wrote it down.
    rows: NonNegativeInt = 0
    #: Jobs are compared in groups: up to the first of these, above it and up to the next one, above the last.
    cuts: tuple[FiniteFloat, ...] = ()
    #: The share of rows in each group, one more than there are cuts; empty where nobody wrote it down.
    cut_shares: tuple[NonNegativeFloat, ...] = ()


def of_numbers(values: FloatArray, *, nulls: int) -> Baseline:
    """Give the baseline of numbers, NaN where they are missing; at least one is not."""
    # Quantiles are values that were there: nothing between two of them, which a boolean cannot be.
    known = values[~np.isnan(values)] if nulls else values
    quantiles = np.quantile(known, QUANTILES, method="inverted_cdf")
    baseline = Baseline(null_rate=nulls / len(values), quantiles=tuple(quantiles.tolist()))
    up_to = np.array([0, *(np.count_nonzero(known <= end) for end in baseline.ends)])
    return baseline.model_copy(
        update={
            "shares": tuple((np.diff(up_to) / len(values)).tolist()),
            "least_rows": int(np.count_nonzero(known == quantiles[0])),
            "most_rows": int(np.count_nonzero(known == quantiles[-1])),
        }
    )


def of_levels(counts: Sequence[tuple[int | str, int]], *, rows: int, nulls: int) -> Baseline:
    """Give the baseline of a category from its levels' counts, most frequent first."""
    top = tuple(LevelShare(level=level, share=count / rows) for level, count in counts[:TOP_LEVELS])
    single = sum(1 for _, count in counts if count == 1)
    return Baseline(null_rate=nulls / rows, top_levels=top, single_levels=single)


def level_counts(array: pa.Array) -> list[tuple[int | str, int]]:
    """Give the levels of a canonical array with the rows of each: most frequent first, then by level."""
    counted = pc.value_counts(array.drop_null())
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
