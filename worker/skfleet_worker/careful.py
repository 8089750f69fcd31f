"""Careful reading: a chunk that cannot be read as a whole is cut until the rows at fault stand alone.

A view that casts or divides fails its whole statement for one row, and says of no row which. So the key range
is halved, by the warehouse's own order of keys, and rows of one key by the hash of what tells them apart;
halves that can be read are read as ever.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from skfleet_common.contracts.chunks import IdRange
from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.errors import TryAgain, UnreadableValue
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.tables.port import Reader, Selection, SourceBatch
from skfleet_worker.one_key import cut_by_hash, keys_at, one_key

_CHANGED = "The table changed while it was read; it is read again."


@dataclass
class CarefulReader:
    """Reads the ranges of one job's source; ``None`` among the batches is progress, and nothing else."""

    reader: Reader
    spec: JobSpec
    table: SourceTable
    features: Sequence[str]
    verbatim: Sequence[str]
    batch_rows: int
    #: The columns, those first in which the last unreadable value was.
    _suspects: list[str] = field(default_factory=list)

    def read(self, within: IdRange) -> Iterator[SourceBatch]:
        """Read a range as ever."""
        return self._read(within, features=self.features, verbatim=self.verbatim)

    def read_carefully(self, within: IdRange) -> Iterator[SourceBatch | None]:
        """Read a range in which a value cannot be read; such a row is a batch of its own, without features.

        Raises:
            UnreadableValue: the row cannot be told from others with the same ids, or has no readable id.
            TryAgain: what could be read cannot be any more.
        """
        pending = [within]
        while pending:
            part = pending.pop()
            error = yield from self._probe(part)
            if error is None:
                yield from self._read_again(part)
                continue
            if (middle := self._middle(part)) is not None:
                below, above = _cut(part, middle)
                pending += [above, below]
                continue
            ids, rows = yield from self._look(part, self.spec.id_columns)
            if rows == 1:
                yield self._unreadable(part, ids, error)
                continue
            halves = (yield from self._cut_one_key(part)) if rows else None
            if halves is None:
                raise error
            pending += reversed(halves)

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
            raise TryAgain(_CHANGED) from error

    def _cut_one_key(self, part: IdRange) -> Generator[None, None, tuple[IdRange, IdRange] | None]:
        """Cut several rows of one key, or without one, as the planner cuts keys that are too heavy.

        None if nothing tells them apart.
        """
        others = tuple(name for name in self.spec.id_columns if name != self.spec.split_column)
        columns = part.hash_columns or others
        return cut_by_hash((yield from self._of_one_key(part)), columns) if columns else None

    def _of_one_key(self, part: IdRange) -> Generator[None, None, IdRange]:
        """Give a range whose rows have one key, with that key at both ends: only there does a hash cut."""
        if part.nulls or (part.first is not None and part.first == part.stop):
            return part
        # The warehouse says whether an end is that key, for it may spell equal keys differently.
        first_end, stop_end = keys_at(part)
        at_first = first_end is not None and (yield from self._has_rows(first_end))
        at_stop = stop_end is not None and (yield from self._has_rows(stop_end))
        some, rows = yield from self._look(part, [self.spec.split_column])
        if not rows:
            raise TryAgain(_CHANGED)
        return one_key(part, str(some.column(0)[0]), at_first=at_first, at_stop=at_stop)

    def _has_rows(self, part: IdRange) -> Generator[None, None, bool]:
        _, rows = yield from self._look(part, self.spec.id_columns)
        return rows > 0

    def _look(self, part: IdRange, names: Sequence[str]) -> Generator[None, None, tuple[pa.RecordBatch, int]]:
        """Give some columns of a range's first rows, as texts, and how many rows it has."""
        first, rows = pa.RecordBatch.from_pydict({name: pa.array([], pa.string()) for name in names}), 0
        for batch in self._read(part, features=(), verbatim=names):
            first = first if rows else batch.verbatim
            rows += batch.verbatim.num_rows
            yield None
        return first, rows

    def _unreadable(self, part: IdRange, ids: pa.RecordBatch, error: UnreadableValue) -> SourceBatch:
        """Give the one row of a range, without its features."""
        column = self._column_at_fault(part)
        where = f"{column} of it" if column else "it"
        return SourceBatch(
            features=pa.RecordBatch.from_arrays(
                [pa.nulls(1) for _ in self.features], names=list(self.features)
            ),
            verbatim=ids,
            unreadable={0: f"the warehouse cannot give {where} ({error.condition})"},
        )

    def _column_at_fault(self, part: IdRange) -> str | None:
        """Give the first column that cannot be read by itself."""
        if not self._suspects:
            self._suspects = list(dict.fromkeys([*self.features, *self.verbatim]))
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
            split_column=self.spec.split_column,
            split_type=self.spec.split_type,
            within=part,
        )

    def _read(
        self, part: IdRange, *, features: Sequence[str], verbatim: Sequence[str]
    ) -> Iterator[SourceBatch]:
        return self.reader.read(
            self._selection,
            features=features,
            verbatim=verbatim,
            split_column=self.spec.split_column,
            split_type=self.spec.split_type,
            within=part,
            batch_rows=self.batch_rows,
        )

    @property
    def _selection(self) -> Selection:
        return Selection(table=self.table, where=self.spec.where)


def _cut(part: IdRange, middle: str) -> tuple[IdRange, IdRange]:
    """Give the range below a key, and the range from it on."""
    below = part.model_copy(update={"stop": middle, "stop_included": False, "stop_hash": 0})
    return below, part.model_copy(update={"first": middle, "first_hash": 0})
