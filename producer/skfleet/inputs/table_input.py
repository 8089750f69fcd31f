"""A table, a view or a query of the warehouse as training input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import pyarrow as pa

from skfleet.inputs.memory import needed_bytes, refuse_too_large
from skfleet.inputs.sample import Sample
from skfleet.naming import find_columns, names_of
from skfleet.progress import Steps
from skfleet_common.contracts.columns import Column
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.choices import Origin
from skfleet_common.tables.port import RowSample, Selection, SourceBatch, Warehouse

#: Bytes of a value in memory; texts take more.
_VALUE_BYTES = 8

#: Memory is looked at again after so many more bytes.
_LOOK_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class TableInput:
    """The rows of a table that a condition lets through, or those that a query gives."""

    warehouse: Warehouse
    selection: Selection

    @classmethod
    def open(
        cls,
        warehouse: Warehouse,
        text: str,
        *,
        where: str | None = None,
        sample: Sample | None = None,
        id_columns: Sequence[str] = (),
    ) -> Self:
        """Look the table up, and check the condition.

        Raises:
            Refused: there is no such table, or the condition is not one over it.
        """
        table = warehouse.catalogue.find_table(text)
        checked = None if where is None else warehouse.catalogue.check_where(table, where)
        selection = Selection(table=table, where=checked)
        return cls(warehouse, _drawn(selection, sample, id_columns, source="a table"))

    @classmethod
    def of_query(
        cls, warehouse: Warehouse, text: str, *, sample: Sample | None = None, id_columns: Sequence[str] = ()
    ) -> Self:
        """Check the query, and let the database say which columns it has.

        Raises:
            Refused: it is not one that only reads, or the database does not accept it.
        """
        selection = warehouse.catalogue.describe_query(text)
        return cls(warehouse, _drawn(selection, sample, id_columns, source="a query"))

    @property
    def label(self) -> str:
        """The table's full name, or that it is a query."""
        return "The query" if self.selection.query is not None else str(self.selection.table.name)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, as the database describes them."""
        return self.selection.table.columns

    @property
    def rows(self) -> int | None:
        """The database's own estimate: of the whole table, or of the query's rows."""
        estimated = self.selection.table.estimated_rows or None
        sample = self.selection.sample
        return estimated if sample is None else min(sample.rows, estimated or sample.rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: the types are the database's own."""
        return ()

    @property
    def origin(self) -> Origin:
        """Table and condition, or the query."""
        sampled = None if self.selection.sample is None else self.selection.sample.rows
        if self.selection.query is not None:
            return Origin(source="a query", kind="query", query=self.selection.query, sampled=sampled)
        return Origin(source=self.label, kind="table", where=self.selection.where, sampled=sampled)

    def check(self, names: Sequence[str]) -> None:
        """Refuse rows that would not fit in memory, if the database's estimate is of these very rows."""
        is_whole = self.selection.where is None and self.selection.query is None
        if is_whole and self.rows:
            self._refuse_too_large(self.rows, len(names), self.rows * len(names) * _VALUE_BYTES)

    def read(self, names: Sequence[str], *, steps: Steps) -> pa.Table:
        """Give the named columns of the selected rows; the bar's total is the database's estimate.

        Raises:
            Refused: a value cannot be read, or the rows do not fit in memory.
        """
        self.check(names)
        batches: list[pa.RecordBatch] = []
        rows, read_bytes, looked_at = 0, 0, 0
        with steps.step("Reading training rows", total=self.rows) as step:
            for batch in self.warehouse.reader.read(self.selection, features=names):
                self._refuse_unreadable(batch)
                batches.append(batch.features)
                rows += batch.features.num_rows
                read_bytes += batch.features.nbytes
                if read_bytes - looked_at > _LOOK_BYTES:
                    looked_at = read_bytes
                    # The rows themselves are in memory by now; what the fit will need has to be free still.
                    self._refuse_too_large(rows, len(names), 0)
                step.reach(rows)
            step.reach(rows, rows)
        return pa.Table.from_batches(batches) if batches else pa.table({name: pa.array([]) for name in names})

    def _refuse_too_large(self, rows: int, columns: int, table_bytes: int) -> None:
        needed = needed_bytes(rows, columns, table_bytes=table_bytes)
        narrower = "--where or --sample ROWS" if self.selection.query is None else "--sample ROWS"
        refuse_too_large(self.label, needed, rows=rows, remedy=narrower)

    def _refuse_unreadable(self, batch: SourceBatch) -> None:
        """Refuse rows from which nothing can be learned, and which nobody asked to leave out."""
        for reason in batch.unreadable.values():
            row = "the row with --where" if self.selection.query is None else "leave the row out of the query"
            raise Refused(
                f"{self.label} has a row whose {reason}; make it NULL, or leave the column out with "
                f"--exclude or {row}."
            )


def _drawn(
    selection: Selection, sample: Sample | None, id_columns: Sequence[str], *, source: str
) -> Selection:
    if sample is None:
        return selection
    if not id_columns:
        raise UsageError(f"--sample of {source} needs --id-column, by which the same rows are drawn again.")
    ids = find_columns(selection.table.columns, id_columns, flag="--id-column", source=selection.table.name)
    return replace(selection, sample=RowSample(rows=sample.rows, seed=sample.seed, id_columns=names_of(ids)))
