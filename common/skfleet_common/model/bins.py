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
from skfleet_common.model.arrays import CANONICAL, FloatArray, level_codes, missing, numbers
from skfleet_common.model.baselines import Baseline
from skfleet_common.model.manifest import Feature, FeatureKind
from skfleet_common.model.moments import as_numbers, spoken

#: How many rows are in each of a column's bins.
Counts = tuple[int, ...]

#: A level of fewer training rows is compared with the others: the most frequent of rare ones are so by luck.
LEAST_ROWS = 10

NULL = "NULL"
UNSEEN = "unseen levels"
_OTHERS = "other levels"
_KNOWN = "known"


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
        """Give the bins, in their order, with what training had in them."""

    def compared(self, counts: Counts, *, rows: int) -> tuple[list[Expected], Counts]:
        """Give what is to be expected of rows like the ``rows`` of training, and how many are there instead.

        Bins of which too little is known are put together.
        """


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

    def compared(self, counts: Counts, *, rows: int) -> tuple[list[Expected], Counts]:
        """Give the bins, below and above with a row each if the extremes were met once.

        Of n draws, the next one is below all others in one of n + 1 cases, and below or at the k-th in k of
        them, unless values repeat.
        """
        bins = self.expected()
        if not self._ends or not rows:
            return bins, counts
        below, first, *between, above, null = (bin_.share * rows for bin_ in bins)
        if self._baseline.least_rows == 1 and first >= 1:
            below, first = 1.0, first - 1
        above = float(self._baseline.most_rows == 1)
        every = rows + above
        shares = [part / every for part in (below, first, *between, above, null)]
        return [Expected(bin_.label, share) for bin_, share in zip(bins, shares, strict=True)], counts

    def _between(self, start: float, stop: float) -> str:
        # Of whole numbers, the bin that ends with the second of two neighbours has only that one.
        is_one = stop - start <= 1 and self._dtype in {LogicalDtype.INTEGER, LogicalDtype.BOOLEAN}
        names = [spoken(stop, self._dtype)] if is_one else [spoken(end, self._dtype) for end in (start, stop)]
        return " to ".join(dict.fromkeys(names))


class CodeBins:
    """Categories by codes: the top levels, all others, unseen ones, NULL."""

    def __init__(
        self, bins: list[Expected], bin_of_code: npt.NDArray[np.intp], *, single_levels: int | None = None
    ) -> None:
        self._bins = bins
        self._bin_of_code = bin_of_code
        self._single_levels = single_levels

    @classmethod
    def of_levels(cls, feature: Feature, baseline: Baseline) -> CodeBins:
        """Give the bins of a category whose rows come as codes of its known levels."""
        top = {share.level: place for place, share in enumerate(baseline.top_levels)}
        bins = _top(baseline)
        others = max(0.0, 1.0 - baseline.null_rate - baseline.unseen_rate - sum(bin_.share for bin_ in bins))
        bins += [Expected(_OTHERS, others), Expected(UNSEEN, baseline.unseen_rate)]
        bins.append(Expected(NULL, baseline.null_rate))
        codes = [top.get(level, len(top)) for level in feature.known_levels]
        codes += [len(top) + 1, len(top) + 2]
        return cls(bins, np.array(codes, dtype=np.intp), single_levels=baseline.single_levels)

    @classmethod
    def of_texts(cls, baseline: Baseline) -> CodeBins:
        """Give the bins of a column whose rows come as codes of the top levels: nobody knows all levels."""
        bins = _top(baseline)
        others = max(0.0, 1.0 - baseline.null_rate - sum(bin_.share for bin_ in bins))
        bins += [Expected(_OTHERS, others), Expected(NULL, baseline.null_rate)]
        return cls(bins, np.arange(len(bins)))

    @classmethod
    def of_raw(cls, null_rate: float) -> CodeBins:
        """Give the bins of a column of which only NULLs are known, and maybe its categories."""
        bins = [Expected(_KNOWN, 1.0 - null_rate), Expected(UNSEEN, 0.0), Expected(NULL, null_rate)]
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

    def compared(self, counts: Counts, *, rows: int) -> tuple[list[Expected], Counts]:
        """Give the bins, rare levels with the others, of which some rows are to be expected of unseen levels.

        They are as many as the levels that training met once, as Good and Turing estimate it, and one more.
        Fewer are as good: a table may have no other levels.
        """
        shares: dict[str, float] = {}
        found: dict[str, int] = {}
        for bin_, count in zip(self._bins, counts, strict=True):
            is_rare = bin_.label not in _NO_LEVELS and bin_.share * rows < LEAST_ROWS - 0.5
            label = _OTHERS if is_rare else bin_.label
            shares[label] = shares.get(label, 0.0) + bin_.share
            found[label] = found.get(label, 0) + count
        if self._single_levels is not None and rows:
            unseen = min((self._single_levels + 1) / rows, shares[_OTHERS], found[UNSEEN] / sum(counts))
            shares[UNSEEN] += unseen
            shares[_OTHERS] -= unseen
        return [Expected(label, share) for label, share in shares.items()], tuple(found.values())


_NO_LEVELS = frozenset({_OTHERS, _KNOWN, UNSEEN, NULL})


def _top(baseline: Baseline) -> list[Expected]:
    return [Expected(repr(share.level), share.share) for share in baseline.top_levels]


def is_comparable(bins: Sequence[Expected]) -> bool:
    """Whether these bins tell values from one another, and not just from NULL and what is no value at all."""
    labels = {bin_.label for bin_ in bins} - {NULL}
    return len(labels) > 1 and _KNOWN not in labels


def bins_of(feature: Feature, *, rows: int) -> Bins | None:
    """Give the bins of a feature of ``rows`` training rows; None if nobody wrote down what they were."""
    baseline = feature.baseline
    if baseline is None:
        is_raw = feature.kind is FeatureKind.RAW and rows
        return CodeBins.of_raw(feature.training_nulls / rows) if is_raw else None
    if feature.levels is not None:
        return CodeBins.of_levels(feature, baseline)
    if feature.kind is FeatureKind.RAW and not baseline.quantiles:
        return CodeBins.of_texts(baseline)
    return NumberBins(baseline, feature.dtype)


def raw_values(array: pa.Array, feature: Feature) -> npt.NDArray[Any]:
    """Give the values of a column that nothing is made of as its bins of :func:`bins_of` take them."""
    baseline = feature.baseline
    if baseline is None:
        return _raw_codes(array, feature)
    if feature.levels is None and baseline.quantiles:
        return as_numbers(array) if pa.types.is_temporal(array.type) else numbers(array)
    known = feature.known_levels or tuple(top.level for top in baseline.top_levels)
    return level_codes(array, pa.array(known, type=CANONICAL[feature.dtype]))


def _raw_codes(array: pa.Array, feature: Feature) -> npt.NDArray[np.integer[Any]]:
    """Give 0 for a value, 1 for one that is not among the categories, 2 for NULL."""
    codes = np.zeros(len(array), dtype=np.int8)
    if feature.levels is not None:
        levels = feature.levels.values
        codes[level_codes(array, pa.array(levels, type=CANONICAL[feature.dtype])) == len(levels)] = 1
    flags = missing(array)
    if flags is not None:
        codes[flags] = 2
    return codes
