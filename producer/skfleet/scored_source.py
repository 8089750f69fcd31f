"""The port through which a submission sees what is scored, wherever its rows come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from skfleet.read_modes import Reading
from skfleet_common.contracts.chunks import ChunkPlan, TableName
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.file_sources import FilesSource
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.manifest import FeatureManifest


@dataclass(frozen=True)
class ReadFrom:
    """What a job's spec says of its source."""

    table: TableName
    split_column: str = ""
    split_type: str = ""
    where: str | None = None
    files: FilesSource | None = None
    #: How a table is read, and why so.
    reading: Reading | None = None


class ScoredSource(Protocol):
    """Rows to score, found: their columns are known, and they have not been looked through."""

    @property
    def table(self) -> SourceTable:
        """Its name and columns; of files, their address stands for the name."""

    @property
    def id_columns(self) -> tuple[Column, ...]:
        """What tells the rows apart."""

    def check_ids(self) -> None:
        """Refuse ids that are known to be missing or to repeat."""

    def check_features(
        self, manifests: Sequence[FeatureManifest], *, allow_all_null: Sequence[str]
    ) -> list[str]:
        """Refuse rows from which a model's features cannot be rebuilt; gives what is tolerated."""

    def plan(self, chunk_rows: Callable[[int], int]) -> ChunkPlan:
        """Cut the rows into chunks; ``chunk_rows`` gives their size, by the number of all rows."""

    @property
    def notes(self) -> list[str]:
        """What a person should know of the plan, once it is made."""

    def read_from(self, columns: Sequence[OutputColumn]) -> ReadFrom:
        """Say how workers read it, and what of it goes into ``columns``; asked before the plan and after it.

        Raises:
            Refused: one of these cannot be carried along.
        """
