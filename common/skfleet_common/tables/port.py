"""The port through which skfleet sees a warehouse; each part is named by who calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from skfleet_common.contracts.chunks import IdRange, TableName
from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.file_sources import FileColumn
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.publishing import Leftover, Parts, Publication, Published, Publisher
from skfleet_common.tables.unload_sizes import UnloadSizes

__all__ = [
    "Catalogue",
    "FeatureCounts",
    "KeyBin",
    "KeyHistogram",
    "KeyScan",
    "Layout",
    "Leftover",
    "NullBin",
    "Parts",
    "Publication",
    "Published",
    "Publisher",
    "Reader",
    "RowSample",
    "Selection",
    "SourceBatch",
    "Unloader",
    "Warehouse",
]


@dataclass(frozen=True)
class KeyBin:
    """Rows of a run of neighbouring split keys, counted exactly; ``last`` is included.

    A heavy key may have several bins: each begins at a hash of the rows' other columns, and ends where the
    next begins.
    """

    first: str
    last: str
    rows: int
    first_hash: int = 0


@dataclass(frozen=True)
class NullBin:
    """Rows without a split key, from a hash of their other columns on, counted exactly."""

    first_hash: int
    rows: int


@dataclass(frozen=True)
class KeyHistogram:
    """The split keys of a table in the warehouse's own order, and the rows that have none."""

    bins: tuple[KeyBin, ...]
    null_rows: int
    #: The rows without a key once more, where they are so many that they are cut.
    null_bins: tuple[NullBin, ...] = ()
    #: What the hashes are of; empty where no key may be cut.
    hash_columns: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """All rows counted."""
        return self.null_rows + sum(part.rows for part in self.bins)


@dataclass(frozen=True)
class Layout:
    """How a warehouse keeps a table, where that decides what reading a range of its keys costs."""

    #: The columns by which its rows are sorted, the first first.
    sort_key: tuple[str, ...]
    #: The rows that a scan sees; None where the role may not know.
    rows: int | None = None
    #: How much of it is not sorted yet, in percent.
    unsorted: float | None = None
    #: How far its statistics are off, in percent.
    stats_off: float | None = None


@dataclass(frozen=True)
class FeatureCounts:
    """What the preflight needs to know of the values: ``nulls`` and ``levels`` count rows per column.

    Levels are keyed by the value's text in the warehouse; NULL is not among them.
    """

    rows: int
    nulls: dict[str, int]
    levels: dict[str, dict[str, int]]


@dataclass(frozen=True)
class RowSample:
    """Some rows of a selection, the same ones for the same seed and ids."""

    rows: int
    seed: int
    #: What tells the rows apart.
    id_columns: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """What to read: the rows of ``table`` that ``where`` (already checked and re-rendered) lets through."""

    table: SourceTable
    where: str | None = None
    #: A query (already checked and re-rendered) whose result stands for the table.
    query: str | None = None
    sample: RowSample | None = None


@dataclass(frozen=True)
class SourceBatch:
    """Rows as read: typed ``features`` and, row by row beside them, the ``verbatim`` text of other columns.

    ``verbatim`` holds utf8 columns in the warehouse's own output format, so that loading them into a
    column of the same type gives the same value, whatever the type.
    """

    features: pa.RecordBatch
    verbatim: pa.RecordBatch
    #: Rows that hold what cannot be read, by position, and why; their features are NULL, and mean nothing.
    unreadable: Mapping[int, str] = field(default_factory=dict)


class Catalogue(Protocol):
    """What the preflight asks. Every refusal is a ``Refused`` with one sentence."""

    def find_table(self, text: str) -> SourceTable:
        """Give the table that ``text`` (``schema.name``, parts may be double-quoted) names."""

    def resolve_output(self, text: str) -> TableName:
        """Give the name of a table that may not exist yet; its schema must."""

    def describe_query(self, text: str) -> Selection:
        """Give what ``text`` selects, if it is exactly one query that only reads; it is not run."""

    def check_where(self, table: SourceTable, text: str) -> str:
        """Give ``text`` re-rendered, if it is exactly one boolean expression over ``table``."""

    def check_output(
        self,
        table: TableName,
        columns: Sequence[OutputColumn],
        *,
        if_exists: IfExists,
        cascade_views: bool = False,
    ) -> None:
        """Refuse an output table that publishing would not be able to make, append to or replace.

        ``cascade_views`` allows to replace one that views depend on, if they can be pointed at the new one.
        """


class KeyScan(Protocol):
    """What planning asks; all methods see the rows of one selection."""

    def check_ids(self, source: Selection, id_columns: Sequence[str]) -> None:
        """Refuse id columns that are NULL or repeat; a unique index over NOT NULL columns saves the scan."""

    def histogram(
        self, source: Selection, split_column: str, *, chunk_rows: int, hash_columns: Sequence[str] = ()
    ) -> KeyHistogram:
        """Count the split keys in bins of about ``chunk_rows / 8`` rows: sample, then one exact scan.

        A key of more rows has a bin to itself, or several, cut by the hash of ``hash_columns`` if there are
        any: those that tell its rows apart.
        """

    def feature_counts(
        self, source: Selection, columns: Sequence[str], *, categorical: Sequence[str]
    ) -> FeatureCounts:
        """Count rows, NULLs of ``columns`` and levels of ``categorical``, in one scan where possible."""

    def layout(self, source: Selection) -> Layout | None:
        """Give how the selection's table is kept; None if that decides nothing here, or it is no table."""


class Reader(Protocol):
    """What workers and training ask."""

    def read(
        self,
        source: Selection,
        *,
        features: Sequence[str],
        verbatim: Sequence[str] = (),
        split_column: str | None = None,
        split_type: str | None = None,
        within: IdRange | None = None,
        batch_rows: int = 50_000,
    ) -> Iterator[SourceBatch]:
        """Stream rows in batches of at most ``batch_rows``; memory does not grow with the range."""

    def middle_key(
        self, source: Selection, *, split_column: str, split_type: str, within: IdRange
    ) -> str | None:
        """Give the key that halves a range: rows are below it, and at or above it; None if none does."""


class Unloader(Protocol):
    """What a submission asks, where the warehouse itself writes files that workers read."""

    @property
    def has_role(self) -> bool:
        """Whether it has been told with which role to write them."""

    def columns(
        self, table: SourceTable, *, features: Sequence[str], verbatim: Sequence[str]
    ) -> tuple[FileColumn, ...]:
        """Give what the files' columns will be, or refuse a column that cannot be written exactly."""

    def sizes(
        self, table: SourceTable, *, features: Sequence[str], verbatim: Sequence[str], chunk_rows: int
    ) -> UnloadSizes:
        """Give how large files and row groups will be, for chunks of about so many rows."""

    def unload(
        self,
        source: Selection,
        *,
        features: Sequence[str],
        verbatim: Sequence[str],
        to: str,
        sizes: UnloadSizes,
        alive: Callable[[], None],
    ) -> int:
        """Write the rows below ``to`` (``s3://…/``), and a manifest that counts them; gives their number.

        All of them are of one snapshot. ``alive`` is called now and then, and what it raises cancels it.
        """


@dataclass(frozen=True)
class Warehouse:
    """A warehouse and its parts."""

    #: How messages to people name it: host, port and database, never the credentials.
    address: str
    catalogue: Catalogue
    keys: KeyScan
    reader: Reader
    publisher: Publisher
    #: How the pages of Parquet files must be compressed that its publisher may have to name.
    codec: str = "zstd"
    #: None where the warehouse writes no files.
    unloader: Unloader | None = None
    #: Whether its leader gathers what each reader selects, so that only so many may read at once.
    is_leader_bound: bool = False
