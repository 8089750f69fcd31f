"""The port through which training sees its rows, wherever they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from skfleet.progress import Steps
from skfleet_common.contracts.columns import Column
from skfleet_common.model.choices import Origin


class TrainingInput(Protocol):
    """Rows to learn from, opened: their columns are known, and nothing else needs to be read for that."""

    @property
    def label(self) -> str:
        """How sentences to people name it: ``public.flights``, ``flights.csv``, ``the frame``."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, in the source's order, with the types that they are read as."""

    @property
    def rows(self) -> int | None:
        """How many rows will be read, exactly for files and frames; None if nobody knows."""

    def check(self, names: Sequence[str]) -> None:
        """Refuse what is known to be wrong with the named columns before they are read.

        Raises:
            Refused: as :meth:`read` would.
        """

    def read(self, names: Sequence[str], *, steps: Steps) -> pa.Table:
        """Give the named columns of all rows, each as :class:`LogicalDtype` says a reader gives it.

        Raises:
            Refused: a value cannot be read, or the rows do not fit in memory.
        """

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people on how the source is taken, where that might surprise them."""

    @property
    def origin(self) -> Origin:
        """What the manifest's provenance says of it; complete once the rows have been read."""
