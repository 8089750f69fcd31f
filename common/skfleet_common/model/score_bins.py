"""Score bins: into what a model's outputs are counted, and in which groups they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.baselines import ScoreHistogram
from skfleet_common.model.bins import Counts, Expected

#: The share of the training rows that bars which are compared together have at least: a tenth, as usual.
SMALLEST_GROUP = 0.1


class ScoreBins:
    """Scores between the cuts that the manifest keeps; before there were any, between a histogram's edges."""

    def __init__(self, histogram: ScoreHistogram) -> None:
        self._histogram = histogram

    def count(self, values: FloatArray) -> Counts:
        """Give the rows of each group, which holds its upper cut; or of each bar, which holds its lower edge.

        Scores beyond all others count to the outer ones.
        """
        histogram = self._histogram
        if histogram.cut_shares:
            ends = [int(np.count_nonzero(values <= cut)) for cut in histogram.cuts]
        else:
            ends = [int(np.count_nonzero(values < edge)) for edge in histogram.edges[1:-1]]
        return tuple(np.diff([0, *ends, len(values)]).tolist())

    def expected(self) -> list[Expected]:
        """Give the groups, or the bars."""
        histogram = self._histogram
        if not histogram.cut_shares:
            return list(map(Expected, map(_span, pairwise(histogram.edges)), histogram.shares))
        cuts = [f"{cut:.4g}" for cut in histogram.cuts]
        if not cuts:
            return [Expected("any", 1.0)]
        between = [" to ".join(dict.fromkeys(pair)) for pair in pairwise(cuts)]
        labels = [f"up to {cuts[0]}", *between, f"above {cuts[-1]}"]
        return list(map(Expected, labels, histogram.cut_shares))

    def compared(self, counts: Counts, *, rows: int) -> tuple[list[Expected], Counts]:  # noqa: ARG002
        """Give the groups, or neighbouring bars together that are too small to be compared.

        Where training had no score at all, below or above all others, is apart.
        """
        if self._histogram.cut_shares:
            return self.expected(), counts
        edges, shares = self._histogram.edges, self._histogram.shares
        groups = list(pairwise([0, *_group_stops(shares)]))
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
