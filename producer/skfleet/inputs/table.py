"""A table or view of the warehouse as training input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from skfleet.progress import Steps
from skfleet_common.contracts.columns import Column
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.choices import Origin
from skfleet_common.tables.port import Selection, SourceBatch, Warehouse


@dataclass(frozen=True)
class TableInput:
    """The rows of a table that a condition lets through."""

    warehouse: Warehouse
    selection: Selection

    @classmethod
    def open(cls, warehouse: Warehouse, text: str, *, where: str | None = None) -> Self:
        """Look the table up, and check the condition.

        Raises:
            Refused: there is no such table, or the condition is not one over it.
        """
        table = warehouse.catalogue.find_table(text)
        checked = None if where is None else warehouse.catalogue.check_where(table, where)
        return cls(warehouse, Selection(table=table, where=checked))

    @property
    def label(self) -> str:
        """The table's full name."""
        return str(self.selection.table.name)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The table's columns, as the catalogue has them."""
        return self.selection.table.columns

    @property
    def rows(self) -> int | None:
        """The warehouse's own estimate, of the whole table."""
        return self.selection.table.estimated_rows or None

    @property
    def origin(self) -> Origin:
        """Table and condition."""
        return Origin(source=self.label, where=self.selection.where)

    def read(self, names: Sequence[str], *, steps: Steps) -> pa.Table:
        """Give the named columns of the selected rows; the bar's total is the warehouse's estimate."""
        batches: list[pa.RecordBatch] = []
        rows = 0
        with steps.step("Reading training rows", total=self.rows) as step:
            for batch in self.warehouse.reader.read(self.selection, features=names):
                self._refuse_unreadable(batch)
                batches.append(batch.features)
                rows += batch.features.num_rows
                step.reach(rows)
            step.reach(rows, rows)
        return pa.Table.from_batches(batches) if batches else pa.table({name: pa.array([]) for name in names})

    def _refuse_unreadable(self, batch: SourceBatch) -> None:
        """Refuse rows from which nothing can be learned, and which nobody asked to leave out."""
        for reason in batch.unreadable.values():
            raise Refused(
                f"{self.label} has a row whose {reason}; make it NULL, or leave the column out with "
                "--exclude or the row with --where."
            )
