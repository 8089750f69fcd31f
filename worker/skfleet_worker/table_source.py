"""A table or view of the warehouse as a job's source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skfleet_common.contracts.chunks import Chunk, TableName
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.errors import SourceChanged
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.tables.port import Reader, SourceBatch, Warehouse
from skfleet_worker.asked_outputs import check_outputs, verbatim_names
from skfleet_worker.careful import CarefulReader
from skfleet_worker.seating import Seating


@dataclass(frozen=True)
class TableSource:
    """A job's spec, and its table as the catalogue describes it now."""

    spec: JobSpec
    table: SourceTable
    reader: Reader
    #: Where not everybody may read at once.
    seating: Seating | None = None

    @classmethod
    def find(cls, spec: JobSpec, warehouse: Warehouse, seating: Seating | None = None) -> TableSource:
        """Look the table up.

        Raises:
            Refused: it is not there any more.
        """
        return cls(spec, warehouse.catalogue.find_table(_quoted(spec.table)), warehouse.reader, seating)

    def check(self, manifests: Sequence[FeatureManifest]) -> None:
        """Refuse a table that is no longer what the job was planned on.

        Raises:
            SourceChanged: a needed column is gone or has another type.
            JobFailed: the spec asks for what its model does not give.
        """
        check_outputs(self.spec, manifests)
        for feature in (feature for manifest in manifests for feature in manifest.features):
            column = self._column(feature.column)
            if column.dtype is not feature.dtype:
                raise self._changed(column, f"{feature.dtype.value} values, as the model wants them")
        typed = {
            column.name: column.warehouse_type for column in self.spec.output_columns if column.is_verbatim
        }
        for name, warehouse_type in (typed | {self.spec.split_column: self.spec.split_type}).items():
            column = self._column(name)
            if column.warehouse_type != warehouse_type:
                raise self._changed(column, f"type {warehouse_type}")

    def read(
        self, chunk: Chunk, *, features: Sequence[str], batch_rows: int, carefully: bool
    ) -> Iterator[SourceBatch | None]:
        """Stream the rows of a chunk's key range; None is also a wait for a seat at the warehouse."""
        reader = CarefulReader(
            self.reader,
            self.spec,
            self.table,
            features=features,
            verbatim=verbatim_names(self.spec),
            batch_rows=batch_rows,
        )
        batches = reader.read_carefully(chunk.id_range) if carefully else reader.read(chunk.id_range)
        return batches if self.seating is None else self.seating.seated(batches)

    def _column(self, name: str) -> Column:
        column = self.table.column(name)
        if column is None:
            raise SourceChanged(
                f"{self.spec.table} lost its column {name} while the job ran; "
                "restore it and submit the job again."
            )
        return column

    def _changed(self, column: Column, planned: str) -> SourceChanged:
        return SourceChanged(
            f"Column {column.name} of {self.spec.table} is of type {column.warehouse_type} now, but the job "
            f"was planned on {planned}; change it back, or train and submit again."
        )


def _quoted(table: TableName) -> str:
    """Write a name so that no part of it is folded or split."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in (table.schema_name, table.name))
