"""Careful reading: a chunk that cannot be read as a whole is cut until the rows at fault stand alone.

A view that casts or divides fails its whole statement for one row, and says of no row which. So the key range
is halved, by the warehouse's own order of keys; halves that can be read are read as ever.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from skfleet_common.contracts.chunks import IdRange
from skfleet_common.contracts.errors import TryAgain, UnreadableValue
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.tables.port import Reader, Selection, SourceBatch
from skfleet_worker.sources import Source


@dataclass
class CarefulReader:
    """Reads the ranges of one job's source; ``None`` among the batches is progress, and nothing else."""

    reader: Reader
    source: Source
    features: Sequence[str]
    batch_rows: int
    #: The columns, those first in which the last unreadable value was.
    _suspects: list[str] = field(default_factory=list)

    def read(self, within: IdRange) -> Iterator[SourceBatch]:
        """Read a range as ever."""
        return self._read(within, features=self.features, verbatim=self.source.verbatim)

    def read_carefully(self, within: IdRange) -> Iterator[SourceBatch | None]:
        """Read a range in which a value cannot be read; such a row is a batch of its own, without features.

        Raises:
            UnreadableValue: the row cannot be told from others with the same key, or has no readable id.
            TryAgain: what could be read cannot be any more.
        """
        pending = [within]
        while pending:
            part = pending.pop()
            error = yield from self._probe(part)
            if error is None:
                yield from self._read_again(part)
            elif (middle := self._middle(part)) is not None:
                below, above = _cut(part, middle)
                pending += [above, below]
            else:
                yield self._alone(part, error)

    def _probe(self, part: IdRange) -> Generator[None, None, UnreadableValue | None]:
        """Read a range for nothing: what is passed on cannot be taken back, and may not fit into memory."""
        try:
            for _ in self.read(part):
                yield None
        except UnreadableValue as error:
            return error
        return None

    def _read_again(self, part: IdRange) -> Iterator[SourceBatch]:
        try:
            yield from self.read(part)
        except UnreadableValue as error:
            raise TryAgain("The table changed while it was read; it is read again.") from error

    def _alone(self, part: IdRange, error: UnreadableValue) -> SourceBatch:
        """Give the one row of a range that cannot be cut."""
        ids = list(self._read(part, features=(), verbatim=self._spec.id_columns))
        if sum(batch.verbatim.num_rows for batch in ids) != 1:
            raise error
        column = self._column_at_fault(part)
        where = f"{column} of it" if column else "it"
        return SourceBatch(
            features=pa.RecordBatch.from_arrays(
                [pa.nulls(1) for _ in self.features], names=list(self.features)
            ),
            verbatim=ids[0].verbatim,
            unreadable={0: f"the warehouse cannot give {where} ({error.condition})"},
        )

    def _column_at_fault(self, part: IdRange) -> str | None:
        """Give the first column that cannot be read by itself."""
        if not self._suspects:
            self._suspects = list(dict.fromkeys([*self.features, *self.source.verbatim]))
        for place, column in enumerate(self._suspects):
            try:
                for _ in self._read(part, features=(), verbatim=[column]):
                    pass
            except UnreadableValue:
                self._suspects.insert(0, self._suspects.pop(place))
                return column
        return None

    def _middle(self, part: IdRange) -> str | None:
        return self.reader.middle_key(
            self._selection,
            split_column=self._spec.split_column,
            split_type=self._spec.split_type,
            within=part,
        )

    def _read(
        self, part: IdRange, *, features: Sequence[str], verbatim: Sequence[str]
    ) -> Iterator[SourceBatch]:
        return self.reader.read(
            self._selection,
            features=features,
            verbatim=verbatim,
            split_column=self._spec.split_column,
            split_type=self._spec.split_type,
            within=part,
            batch_rows=self.batch_rows,
        )

    @property
    def _spec(self) -> JobSpec:
        return self.source.spec

    @property
    def _selection(self) -> Selection:
        return Selection(table=self.source.table, where=self._spec.where)


def _cut(part: IdRange, middle: str) -> tuple[IdRange, IdRange]:
    """Give the range below a key, and the range from it on."""
    below = part.model_copy(update={"stop": middle, "stop_included": False, "stop_hash": 0})
    return below, part.model_copy(update={"first": middle, "first_hash": 0})
