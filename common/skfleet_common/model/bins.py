"""Bins: into which values of a column are counted, as the manifest fixes them for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.arrays import CANONICAL, FloatArray, level_codes, missing
from skfleet_common.model.baselines import Baseline, ScoreHistogram
from skfleet_common.model.manifest import Feature, FeatureKind
from skfleet_common.model.moments import spoken

#: How many rows are in each of a column's bins.
Counts = tuple[int, ...]

#: The share of the training rows that scores which are compared together have at least: a tenth, as usual.
SMALLEST_GROUP = 0.1

NULL = "NULL"
UNSEEN = "unseen levels"
_OTHERS = "other levels"


@dataclass(frozen=True)
class Expected:
    """A bin's name for people, and its share of the training rows."""

    label: str
    share: float


class Bins(Protocol):
    """The bins of one column; every row is in one of them."""

    def count(self, values: npt.NDArray[Any]) -> Counts:
        """Give how many of the values are in each bin."""

    def expected(self) -> list[Expected]:
        """Give the bins, in their order."""


class NumberBins:
    """Numbers between training quantiles, beyond them, and NaN for NULL; a bin holds its upper end."""

    def __init__(self, baseline: Baseline, dtype: LogicalDtype) -> None:
        self._baseline = baseline
        self._dtype = dtype
        #: Without shares, of bundles that are older than these, only NULLs are told from numbers.
        self._ends = baseline.ends if baseline.shares else ()

    def count(self, values: FloatArray) -> Counts:
        """Give the rows below the quantiles, between them, above them, and those that are NULL."""
        nulls = int(np.count_nonzero(np.isnan(values)))
        if not self._ends:
            return len(values) - nulls, nulls
        # A comparison an end is several times faster than a search among the ends, and NaN is in none.
        up_to = [int(np.count_nonzero(values <= end)) for end in self._ends]
        below = int(np.count_nonzero(values < self._baseline.quantiles[0]))
        between = np.diff([below, *up_to]).tolist()
        return below, *between, len(values) - nulls - up_to[-1], nulls

    def expected(self) -> list[Expected]:
        """Give the bins: below, between, above, NULL."""
        null = Expected(NULL, self._baseline.null_rate)
        if not self._ends:
            return [Expected("not NULL", 1.0 - null.share), null]
        least = self._baseline.quantiles[0]
        between = [self._between(*ends) for ends in pairwise([least, *self._ends])]
        bins = map(Expected, between, self._baseline.shares)
        below, above = spoken(least, self._dtype), spoken(self._ends[-1], self._dtype)
        return [Expected(f"below {below}", 0.0), *bins, Expected(f"above {above}", 0.0), null]

    def _between(self, start: float, stop: float) -> str:
        # Of whole numbers, the bin that ends with the second of two neighbours has only that one.
        is_one = stop - start <= 1 and self._dtype in {LogicalDtype.INTEGER, LogicalDtype.BOOLEAN}
        names = [spoken(stop, self._dtype)] if is_one else [spoken(end, self._dtype) for end in (start, stop)]
        return " to ".join(dict.fromkeys(names))


class CodeBins:
    """Categories by the codes of their levels: the top levels, all others, unseen ones, NULL."""

    def __init__(self, bins: list[Expected], bin_of_code: npt.NDArray[np.intp]) -> None:
        self._bins = bins
        self._bin_of_code = bin_of_code

    @classmethod
    def of_levels(cls, feature: Feature, baseline: Baseline) -> CodeBins:
        """Give the bins of a category whose rows come as codes of its known levels."""
        top = {share.level: place for place, share in enumerate(baseline.top_levels)}
        bins = [Expected(repr(share.level), share.share) for share in baseline.top_levels]
        others = max(0.0, 1.0 - baseline.null_rate - sum(share.share for share in baseline.top_levels))
        bins += [Expected(_OTHERS, others), Expected(UNSEEN, baseline.unseen_rate)]
        bins.append(Expected(NULL, baseline.null_rate))
        codes = [top.get(level, len(top)) for level in feature.known_levels]
        return cls(bins, np.array([*codes, len(top) + 1, len(top) + 2], dtype=np.intp))

    @classmethod
    def of_raw(cls, null_rate: float) -> CodeBins:
        """Give the bins of a column that comes as :func:`raw_codes`."""
        bins = [Expected("known", 1.0 - null_rate), Expected(UNSEEN, 0.0), Expected(NULL, null_rate)]
        return cls(bins, np.arange(3))

    def count(self, values: npt.NDArray[np.integer[Any]]) -> Counts:
        """Give the rows of each bin."""
        by_code = np.bincount(values, minlength=len(self._bin_of_code))
        counts = np.zeros(len(self._bins), dtype=np.int64)
        np.add.at(counts, self._bin_of_code, by_code)
        return tuple(counts.tolist())

    def expected(self) -> list[Expected]:
        """Give the bins in their order."""
        return self._bins


class ScoreBins:
    """Scores between the edges of a histogram; those beyond count to the outer bars."""

    def __init__(self, histogram: ScoreHistogram) -> None:
        self._histogram = histogram

    def count(self, values: FloatArray) -> Counts:
        """Give the rows of each bar, which holds its lower edge; the last one holds both."""
        below = [int(np.count_nonzero(values < edge)) for edge in self._histogram.edges[1:-1]]
        return tuple(np.diff([0, *below, len(values)]).tolist())

    def expected(self) -> list[Expected]:
        """Give the bars."""
        edges = self._histogram.edges
        return list(map(Expected, map(_span, pairwise(edges)), self._histogram.shares))

    def grouped(self, counts: Counts) -> tuple[list[Expected], Counts]:
        """Give neighbouring bars together that are too small to be compared, and the counts of these.

        Where training had no score at all, below or above all others, is apart.
        """
        edges, shares = self._histogram.edges, self._histogram.shares
        stops = _group_stops(shares)
        groups = list(pairwise([0, *stops]))
        expected = [Expected(_span((edges[a], edges[b])), sum(shares[a:b])) for a, b in groups]
        return expected, tuple(sum(counts[a:b]) for a, b in groups)


def _span(edges: tuple[float, float]) -> str:
    return f"{edges[0]:.4g} to {edges[1]:.4g}"


def _group_stops(shares: Sequence[float]) -> list[int]:
    """Give the bars at which groups end."""
    used = [place for place, share in enumerate(shares) if share]
    first, last = used[0], used[-1] + 1
    stops = [first] if first else []
    held = 0.0
    for place in range(first, last):
        held += shares[place]
        # What is left after a group must be enough for another one.
        if held >= SMALLEST_GROUP and sum(shares[place + 1 :]) >= SMALLEST_GROUP:
            stops.append(place + 1)
            held = 0.0
    stops.append(last)
    return [*stops, len(shares)] if last < len(shares) else stops


def bins_of(feature: Feature, *, rows: int) -> Bins | None:
    """Give the bins of a feature of ``rows`` training rows; None if nobody wrote down what they were."""
    if feature.kind is FeatureKind.RAW:
        return CodeBins.of_raw(feature.training_nulls / rows) if rows else None
    if feature.baseline is None:
        return None
    if feature.kind is FeatureKind.CATEGORY:
        return CodeBins.of_levels(feature, feature.baseline)
    return NumberBins(feature.baseline, feature.dtype)


def raw_codes(array: pa.Array, feature: Feature) -> npt.NDArray[np.integer[Any]]:
    """Give 0 for a value, 1 for one that is not among the categories, 2 for NULL."""
    codes = np.zeros(len(array), dtype=np.int8)
    if feature.levels is not None:
        levels = feature.levels.values
        codes[level_codes(array, pa.array(levels, type=CANONICAL[feature.dtype])) == len(levels)] = 1
    flags = missing(array)
    if flags is not None:
        codes[flags] = 2
    return codes
