"""What planning asks of a selection's keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skfleet_common.tables.port import FeatureCounts, KeyHistogram, Layout, Selection
from skfleet_common.tables.redshift.connect import Server
from skfleet_common.tables.redshift.histogram import count_keys
from skfleet_common.tables.redshift.identity import refuse_ids
from skfleet_common.tables.redshift.layout import layout_of
from skfleet_common.tables.redshift.levels import count_features


@dataclass(frozen=True)
class RedshiftKeys:
    """The :class:`~skfleet_common.tables.port.KeyScan` of Redshift."""

    server: Server

    def check_ids(self, source: Selection, id_columns: Sequence[str]) -> None:
        """Refuse id columns that are NULL or repeat, in one scan: Redshift enforces no key."""
        with self.server.transaction(f"checking the ids of {source.table.name}") as cursor:
            refuse_ids(cursor, source, id_columns)

    def histogram(
        self, source: Selection, split_column: str, *, chunk_rows: int, hash_columns: Sequence[str] = ()
    ) -> KeyHistogram:
        """Count the split keys in bins of about ``chunk_rows / 8`` rows, all in one snapshot.

        Raises:
            Refused: keys of the column's type have no order that ranges could use.
        """
        return count_keys(self.server, source, split_column, chunk_rows=chunk_rows, hash_columns=hash_columns)

    def feature_counts(
        self, source: Selection, columns: Sequence[str], *, categorical: Sequence[str]
    ) -> FeatureCounts:
        """Count rows, NULLs of ``columns`` and levels of ``categorical``, all in one snapshot."""
        with self.server.transaction(f"counting the values of {source.table.name}") as cursor:
            return count_features(cursor, source, columns, categorical=categorical)

    def layout(self, source: Selection) -> Layout | None:
        """Give how the selection's table is kept; what the role may not know of it is left out."""
        if source.query is not None:
            return None
        return layout_of(self.server, source.table.name)
