"""Sources: what a job was asked to read, and whether the table still has it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from skfleet_common.aws.session import Cloud
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.errors import JobFailed, SourceChanged
from skfleet_common.contracts.jobs import JobSpec, OutputColumn
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.tables.port import Catalogue

#: Jobs whose spec a scorer remembers.
KEPT = 8


@dataclass(frozen=True)
class Source:
    """A job's spec, and its table as the catalogue describes it now."""

    spec: JobSpec
    table: SourceTable

    @property
    def verbatim(self) -> tuple[str, ...]:
        """The columns that go into the output as they are read."""
        return tuple(column.name for column in self.spec.output_columns if is_verbatim(column))

    def check(self, manifests: Sequence[FeatureManifest]) -> None:
        """Refuse a table that is no longer what the job was planned on; ``manifests`` are its models'.

        Raises:
            SourceChanged: a needed column is gone or has another type.
            JobFailed: the spec asks for what its model does not give.
        """
        given = [{column.name for column in manifest.all_outputs} for manifest in manifests]
        for output in self.spec.output_columns:
            if is_verbatim(output):
                continue
            if output.model >= len(given) or output.of_model not in given[output.model]:
                raise JobFailed(
                    f"The job's stored spec asks for the output column {output.name}, which its model does "
                    "not give; submit the job again."
                )
        for feature in (feature for manifest in manifests for feature in manifest.features):
            column = self._column(feature.column)
            if column.dtype is not feature.dtype:
                raise self._changed(column, f"{feature.dtype.value} values, as the model wants them")
        typed = {
            column.name: column.warehouse_type for column in self.spec.output_columns if is_verbatim(column)
        }
        for name, warehouse_type in (typed | {self.spec.split_column: self.spec.split_type}).items():
            column = self._column(name)
            if column.warehouse_type != warehouse_type:
                raise self._changed(column, f"type {warehouse_type}")

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


class Sources:
    """The sources of jobs. A table is looked at for every chunk: it may change while its job runs."""

    def __init__(self, cloud: Cloud, catalogue: Catalogue) -> None:
        self._cloud = cloud
        self._catalogue = catalogue
        self._specs: OrderedDict[str, JobSpec] = OrderedDict()

    def of(self, job: str) -> Source:
        """Give a job's source.

        Raises:
            Refused: the table is not there any more.
        """
        spec = self.spec(job)
        return Source(spec, self._catalogue.find_table(_quoted(spec.table)))

    def spec(self, job: str) -> JobSpec:
        """Give a job's spec, without a look at its table."""
        if job not in self._specs:
            self._specs[job] = JobSpec.from_json(self._cloud.store.get(self._cloud.names.spec(job)))
            if len(self._specs) > KEPT:
                self._specs.popitem(last=False)
        return self._specs[job]


def is_verbatim(column: OutputColumn) -> bool:
    """Whether an output column is copied from the source table."""
    return column.source in {"id", "carried"}


def _quoted(table: TableName) -> str:
    """Write a name so that no part of it is folded or split."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in (table.schema_name, table.name))
