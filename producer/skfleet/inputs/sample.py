"""Samples: some of the rows, chosen so that the same seed chooses the same ones again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skfleet_common.contracts.errors import UsageError


@dataclass(frozen=True)
class Sample:
    """How many rows to learn from, and the seed that chooses them."""

    rows: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise UsageError(f"--sample must be 1 or more, not {self.rows}.")

    def positions(self, total: int) -> npt.NDArray[np.int64]:
        """Give the chosen ones of ``total`` rows, in order; all, if there are no more."""
        if total <= self.rows:
            return np.arange(total)
        chosen = np.random.default_rng(self.seed).choice(total, self.rows, replace=False)
        return np.sort(chosen)


class Picked:
    """The chosen rows of a source that is read in order, batch by batch."""

    def __init__(self, sample: Sample | None, total: int) -> None:
        self._positions = None if sample is None else sample.positions(total)
        self._seen = 0
        self.rows = total if self._positions is None else len(self._positions)

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Give the chosen rows of the next batch."""
        first, self._seen = self._seen, self._seen + batch.num_rows
        if self._positions is None:
            return batch
        low, high = np.searchsorted(self._positions, [first, self._seen])
        return batch.take(pa.array(self._positions[low:high] - first))
