"""A table or view of the warehouse, whose rows are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from skfleet.feature_checks import check_features
from skfleet.layout import check_layout
from skfleet.naming import find_column, find_columns
from skfleet.plan import plan_chunks
from skfleet.read_modes import SELECTED, Reading
from skfleet.request import PredictRequest
from skfleet.scored_source import ReadFrom
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.tables.port import FeatureCounts, Layout, Selection, Warehouse


@dataclass
class TableSource:
    """The rows of a table that a condition lets through."""

    warehouse: Warehouse
    selection: Selection
    id_columns: tuple[Column, ...]
    split_column: Column
    #: How it is read, and why so.
    reading: Reading = SELECTED
    _notes: list[str] = field(default_factory=list)

    @classmethod
    def find(cls, request: PredictRequest, warehouse: Warehouse) -> TableSource:
        """Look the table and the columns up, and check the condition.

        Raises:
            Refused: there is no such table or column, or the condition is not one over it.
        """
        table = warehouse.catalogue.find_table(str(request.table))
        ids = find_columns(table.columns, request.id_columns, flag="--id-column", source=table.name)
        split = (
            find_column(table.columns, request.split_column, flag="--split-column", source=table.name)
            if request.split_column
            else ids[0]
        )
        where = warehouse.catalogue.check_where(table, request.where) if request.where is not None else None
        return cls(warehouse, Selection(table=table, where=where), ids, split)

    @property
    def table(self) -> SourceTable:
        """The table as the catalogue describes it."""
        return self.selection.table

    def check_ids(self) -> None:
        """Refuse ids that are NULL or repeat."""
        self.warehouse.keys.check_ids(self.selection, [column.name for column in self.id_columns])

    def check_features(
        self, manifests: Sequence[FeatureManifest], *, allow_all_null: Sequence[str]
    ) -> list[str]:
        """Refuse a table from which a model's features cannot be rebuilt: all rows are looked at."""

        def count(columns: Sequence[str], categorical: Sequence[str]) -> FeatureCounts:
            return self.warehouse.keys.feature_counts(self.selection, columns, categorical=categorical)

        return check_features(manifests, self.table, count=count, allow_all_null=allow_all_null)

    def plan(self, chunk_rows: Callable[[int], int]) -> ChunkPlan:
        """Cut the table at split keys, each range with its exact number of rows."""
        histogram = self.warehouse.keys.histogram(
            self.selection,
            self.split_column.name,
            chunk_rows=chunk_rows(self.likely_rows),
            # What tells the rows of one key apart.
            hash_columns=[column.name for column in self.id_columns if column.name != self.split_column.name],
        )
        plan = plan_chunks(histogram, chunk_rows=chunk_rows(histogram.rows))
        self._notes = self.reading.notes + check_layout(
            self.layout, table=self.table.name, split=self.split_column.name, chunks=len(plan.chunks)
        )
        return plan

    @cached_property
    def layout(self) -> Layout | None:
        """How the warehouse keeps the table."""
        return self.warehouse.keys.layout(self.selection)

    @property
    def likely_rows(self) -> int:
        """About how many rows the table has; 0 where nobody knows."""
        layout = self.layout
        # A table that the statistics leave out is empty, or not this role's to see.
        return (layout.rows if layout is not None else None) or self.table.estimated_rows

    @property
    def notes(self) -> list[str]:
        """Why it is read so, where that was left to skfleet, and what makes it dear."""
        return self._notes

    def read_from(self, columns: Sequence[OutputColumn]) -> ReadFrom:
        """Say which ranges of which column workers read."""
        del columns
        return ReadFrom(
            table=self.table.name,
            split_column=self.split_column.name,
            split_type=self.split_column.warehouse_type,
            where=self.selection.where,
            reading=self.reading,
        )
