"""A table that Redshift unloads once: workers read files, and Redshift is free again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from skfleet.feature_checks import check_features
from skfleet.files.row_groups import GroupedFile, parts_of
from skfleet.files.slicing import slices
from skfleet.progress import Steps
from skfleet.scored_source import ReadFrom
from skfleet.table_source import TableSource
from skfleet.unloaded_files import unloaded_files
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.unloads import remove_unload, unload_url
from skfleet_common.aws.user_files import UserFiles
from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.chunks import ChunkPlan
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.errors import PlaceTaken, Refused, SkfleetError
from skfleet_common.contracts.file_sources import FileFormat, FilesSource
from skfleet_common.contracts.jobs import OnDrift, OutputColumn
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.tables.port import FeatureCounts, Unloader
from skfleet_common.tables.unload_sizes import UnloadSizes


@dataclass
class UnloadedSource:
    """The rows of a table that a condition lets through, as they will lie on S3."""

    selected: TableSource
    unloader: Unloader
    cloud: Cloud
    #: Below whose prefix they are put.
    job: str
    steps: Steps
    features: tuple[str, ...]
    on_drift: OnDrift = OnDrift.FAIL
    #: Whether nothing is unloaded, and the plan is about what it may be.
    is_dry_run: bool = False
    _verbatim: tuple[str, ...] = ()
    _rows: int = 0
    _files: tuple[GroupedFile, ...] = ()
    _notes: list[str] = field(default_factory=list)

    @property
    def table(self) -> SourceTable:
        """The table as the catalogue describes it."""
        return self.selected.table

    @property
    def id_columns(self) -> tuple[Column, ...]:
        """What tells its rows apart."""
        return self.selected.id_columns

    def check_ids(self) -> None:
        """Refuse ids that are NULL or repeat, in the table itself."""
        self.selected.check_ids()

    def check_features(
        self, manifests: Sequence[FeatureManifest], *, allow_all_null: Sequence[str]
    ) -> list[str]:
        """Refuse a table from which a model's features cannot be rebuilt: all rows are looked at."""

        def count(columns: Sequence[str], categorical: Sequence[str]) -> FeatureCounts:
            keys, rows = self.selected.warehouse.keys, self.selected.selection
            counts = keys.feature_counts(rows, columns, categorical=categorical)
            self._rows = counts.rows
            return counts

        return check_features(manifests, self.table, count=count, allow_all_null=allow_all_null)

    def plan(self, chunk_rows: Callable[[int], int]) -> ChunkPlan:
        """Unload the rows, and gather row groups: none is divided, and the rows of each are known.

        What was written is removed again if that fails, or is interrupted.
        """
        rows = max(1, chunk_rows(self._rows))
        sizes = self.unloader.sizes(
            self.table, features=self.features, verbatim=self._verbatim, chunk_rows=rows
        )
        self._notes = [*self.selected.reading.notes, _meaning(rows, sizes)]
        if self.is_dry_run:
            self._notes.append(f"Nothing is unloaded in a dry run; {self._rows:,} rows would be.")
            self._files = self._likely_files(sizes)
        else:
            try:
                self._files = self._unload(sizes)
            except PlaceTaken:
                # What is there, somebody else wrote.
                raise
            except BaseException:
                # What is left then, clean-up finds.
                with suppress(SkfleetError):
                    remove_unload(self.cloud, self.job)
                raise
        return slices(parts_of(self._files, chunk_rows=rows), chunk_rows=rows)

    @property
    def notes(self) -> list[str]:
        """Why it is unloaded, and what the size of a chunk means then."""
        return self._notes

    def read_from(self, columns: Sequence[OutputColumn]) -> ReadFrom:
        """Say what the files' columns are.

        Raises:
            Refused: one of these cannot be unloaded.
        """
        self._verbatim = tuple(column.name for column in columns if column.is_verbatim)
        return ReadFrom(
            table=self.table.name,
            where=self.selected.selection.where,
            files=FilesSource(
                format=FileFormat.PARQUET,
                columns=self.unloader.columns(self.table, features=self.features, verbatim=self._verbatim),
                files=len(self._files),
                size_bytes=sum(file.found.size_bytes for file in self._files),
            ),
            reading=self.selected.reading,
        )

    def _unload(self, sizes: UnloadSizes) -> tuple[GroupedFile, ...]:
        to = unload_url(self.cloud, self.job)
        self.steps.note(f"Redshift unloads {self.table.name} to {to}; Ctrl-C stops it and removes that.")
        rows = self.unloader.unload(
            self.selected.selection,
            features=self.features,
            verbatim=self._verbatim,
            to=str(to),
            sizes=sizes,
            alive=lambda: None,
        )
        objects = UserObjects(UserFiles(self.cloud.store.client, self.cloud.store.where))
        files = unloaded_files(objects, to, rows=rows, columns=self._stored_names())
        self._compare(rows)
        return files

    def _stored_names(self) -> set[str]:
        columns = self.unloader.columns(self.table, features=self.features, verbatim=self._verbatim)
        return {name for column in columns for name in (column.stored_name, column.text_in) if name}

    def _compare(self, rows: int) -> None:
        """Hold the rows against those in which NULLs, levels and ids were looked at.

        Raises:
            Refused: there are others, and that is not to be warned of alone.
        """
        if rows == self._rows:
            return
        what = f"{self._rows:,} rows of {self.table.name} were checked, and {rows:,} were unloaded"
        if self.on_drift is OnDrift.FAIL:
            raise Refused(
                f"{what}, so the table changed in between; submit the job again, or with --on-drift warn."
            )
        self._notes.append(f"{what}: the table changed in between.")

    def _likely_files(self, sizes: UnloadSizes) -> tuple[GroupedFile, ...]:
        """Give about what would be there: one file whose row groups are as large as they may be."""
        whole, rest = divmod(self._rows, max(1, sizes.group_rows))
        groups = (sizes.group_rows,) * whole + ((rest,) if rest else ())
        found = UserObject(unload_url(self.cloud, self.job), size_bytes=0, etag="")
        return (GroupedFile(found, groups),) if groups else ()


def _meaning(chunk_rows: int, sizes: UnloadSizes) -> str:
    group = f"of about {sizes.group_rows:,} rows ({sizes.group_megabytes} MB)"
    chunk = (
        f"one row group {group}, more than the {chunk_rows:,} asked for: whole row groups are the least"
        if sizes.group_rows > chunk_rows
        else f"whole row groups {group}, gathered up to {chunk_rows:,} rows"
    )
    return f"With unload, a chunk is {chunk}; files have up to {sizes.file_megabytes} MB."
