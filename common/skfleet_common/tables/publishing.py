"""The port's part that publishes: what is asked of a warehouse, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.jobs import IfExists, OutputColumn


@dataclass(frozen=True)
class Publication:
    """What to publish where; ``job`` and ``run`` make it happen at most once."""

    job: str
    run: int
    table: TableName
    columns: tuple[OutputColumn, ...]
    if_exists: IfExists
    rows: int
    #: Output columns that together tell rows apart; no two rows may share their values.
    id_columns: tuple[str, ...] = ()
    #: Whether views that depend on a replaced table are made anew on its successor.
    cascade_views: bool = False


@dataclass(frozen=True)
class Published:
    """What stands in the ledger of a publication, and whether this very call wrote it."""

    rows: int
    is_new: bool


@dataclass(frozen=True)
class Leftover:
    """A table that a publisher has made on its way; once nobody publishes its job, nobody needs it."""

    table: TableName
    job: str
    #: By the warehouse's own clock, this host's has no say.
    age_seconds: float


class Parts(Protocol):
    """The rows of a publication: what chunks have committed, or rows at hand.

    A publisher takes them in one of two ways, once, and whoever gives them proves on either way that they
    are what was committed.
    """

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the rows through this process."""

    def files(self) -> AbstractContextManager[str | None]:
        """Name the rows to a warehouse that fetches them: the ``s3://`` address of a manifest for its COPY.

        The manifest lists Parquet files whose columns are the publication's, in order. They are proven when
        the block begins, and once more when it ends without an error. None: there is no row.
        """


class Publisher(Protocol):
    """What publishing asks."""

    def publish(
        self,
        publication: Publication,
        parts: Parts,
        *,
        alive: Callable[[], None] = lambda: None,
    ) -> Published:
        """Load ``parts`` and swap or append, in one transaction with the ledger row.

        What a replaced table has besides its rows, its successor has too. When the ledger already has a
        publication of the job, nothing is done, and what it says is given.
        ``alive`` is called now and then, from another thread, while the warehouse works on what was loaded:
        it may build indexes for longer than a scorer may go without a word.
        """

    def abandon(self, table: TableName, *, job: str, run: int) -> bool:
        """Rule out that a run ever publishes to ``table``, before its job is called FAILED.

        Returns False, with nothing done, when the job has published.
        """

    def leftovers(self) -> Sequence[Leftover]:
        """Give what publishers that died have left, and what living ones are at."""

    def remove(self, leftover: Leftover) -> None:
        """Drop a leftover, unless it is gone; of a publisher that needs it, the work is done again."""
