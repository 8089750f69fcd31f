"""The port through which a submission sees what is published to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from skfleet.files.target import FilesTarget
from skfleet.request import PredictRequest
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.file_sources import FilesOutput
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.tables.port import Warehouse


class ScoreTarget(Protocol):
    """Where scores go."""

    def check(self, columns: Sequence[OutputColumn], *, source: TableName) -> TableName:
        """Refuse an output that publishing could not make or replace; gives its name, of files their address.

        Raises:
            UsageError: it is the source itself.
            Refused: the sentence says what stands against it.
        """

    @property
    def files(self) -> FilesOutput | None:
        """Which files; None of a table."""


@dataclass(frozen=True)
class TableTarget:
    """A table of the warehouse."""

    request: PredictRequest
    warehouse: Warehouse

    def check(self, columns: Sequence[OutputColumn], *, source: TableName) -> TableName:
        """Refuse an output table that is the source, or that publishing could not make or change."""
        output = self.warehouse.catalogue.resolve_output(self.request.output_table)
        if output == source:
            raise UsageError(
                f"The output table {output} is the source itself; name another with --output-table."
            )
        self.warehouse.catalogue.check_output(
            output, columns, if_exists=self.request.if_exists, cascade_views=self.request.cascade_views
        )
        return output

    @property
    def files(self) -> FilesOutput | None:
        """None."""
        return None


def open_target(
    request: PredictRequest,
    *,
    open_warehouse: Callable[[], Warehouse],
    open_objects: Callable[[], UserObjects],
) -> ScoreTarget:
    """Give the output that is asked for; only what it needs is connected to."""
    if request.output:
        return FilesTarget.of(request, open_objects())
    return TableTarget(request, open_warehouse())
