"""Text rows: rows of a part of a CSV file with their numbers, those that do not fit among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class TextRows:
    """Some rows of a part: their fields as texts, NULL where there is nothing between two delimiters."""

    texts: pa.RecordBatch
    #: Which rows of the part they are, from 1 on.
    numbers: npt.NDArray[np.int64]
    #: Why rows are none, by position: their fields are NULL.
    misfits: dict[int, str]

    def after(self, done: int) -> TextRows:
        """Give the rows behind number ``done``."""
        left = np.flatnonzero(self.numbers > done)
        if len(left) == len(self.numbers):
            return self
        places = {int(place): number for number, place in enumerate(left)}
        return TextRows(
            texts=self.texts.take(pa.array(left)),
            numbers=self.numbers[left],
            misfits={places[place]: why for place, why in self.misfits.items() if place in places},
        )


class Numbering:
    """Gives rows their numbers, and puts those that do not fit among the others."""

    def __init__(self, misfits: deque[tuple[int, int]], *, width: int) -> None:
        self._misfits = misfits
        self._width = width
        self._next = 1

    def of(self, batch: pa.RecordBatch) -> Iterator[TextRows]:
        """Give the rows of a batch, with those before its last one that do not fit."""
        here: list[tuple[int, int]] = []
        stop = self._next + batch.num_rows
        while self._misfits and self._misfits[0][0] < stop:
            here.append(self._misfits.popleft())
            stop += 1
        every = np.arange(self._next, stop)
        fitting = np.isin(every, [number for number, _ in here], invert=True)
        self._next = stop
        yield from self._rows(batch, every[fitting], here)

    def rest(self, names: Sequence[str]) -> Iterator[TextRows]:
        """Give the rows behind the last batch that do not fit."""
        here = list(self._misfits)
        schema = pa.schema([(name, pa.string()) for name in names])
        nothing = pa.RecordBatch.from_arrays([pa.array([], pa.string()) for _ in names], schema=schema)
        yield from self._rows(nothing, np.arange(0), here)

    def _rows(
        self, batch: pa.RecordBatch, numbers: npt.NDArray[np.int64], misfits: list[tuple[int, int]]
    ) -> Iterator[TextRows]:
        if not batch.num_rows and not misfits:
            return
        if not misfits:
            yield TextRows(batch, numbers, {})
            return
        nulls = pa.nulls(len(misfits), pa.string())
        yield TextRows(
            texts=pa.RecordBatch.from_arrays(
                [pa.concat_arrays([column, nulls]) for column in batch.columns], names=batch.schema.names
            ),
            numbers=np.concatenate([numbers, [number for number, _ in misfits]]).astype(np.int64),
            misfits={
                batch.num_rows + place: f"the row has {fields:,} fields, not {self._width:,}"
                for place, (_, fields) in enumerate(misfits)
            },
        )
