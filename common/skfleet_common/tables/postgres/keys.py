"""What planning asks of a selection's keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skfleet_common.tables.port import FeatureCounts, KeyHistogram, Layout, Selection
from skfleet_common.tables.postgres.connect import Server
from skfleet_common.tables.postgres.histogram import count_keys
from skfleet_common.tables.postgres.identity import refuse_ids
from skfleet_common.tables.postgres.levels import count_features


@dataclass(frozen=True)
class PostgresKeys:
    """The :class:`~skfleet_common.tables.port.KeyScan` of PostgreSQL."""

    server: Server

    def check_ids(self, source: Selection, id_columns: Sequence[str]) -> None:
        """Refuse id columns that are NULL or repeat; a unique index over NOT NULL columns saves the scan."""
        with self.server.transaction(f"checking the ids of {source.table.name}") as cursor:
            refuse_ids(cursor, source, id_columns)

    def histogram(
        self, source: Selection, split_column: str, *, chunk_rows: int, hash_columns: Sequence[str] = ()
    ) -> KeyHistogram:
        """Count the split keys in bins of about ``chunk_rows / 8`` rows, all in one snapshot.

        Raises:
            Refused: keys of the column's type have no order that ranges could use.
        """
        with self.server.transaction(f"counting the keys of {source.table.name}", repeatable=True) as cursor:
            return count_keys(cursor, source, split_column, chunk_rows=chunk_rows, hash_columns=hash_columns)

    def feature_counts(
        self, source: Selection, columns: Sequence[str], *, categorical: Sequence[str]
    ) -> FeatureCounts:
        """Count rows, NULLs of ``columns`` and levels of ``categorical``, all in one snapshot."""
        with self.server.transaction(
            f"counting the values of {source.table.name}", repeatable=True
        ) as cursor:
            return count_features(cursor, source, columns, categorical=categorical)

    def layout(self, source: Selection) -> Layout | None:  # noqa: ARG002  (of no PostgreSQL table)
        """Give nothing: an index serves ranges, however the rows lie."""
        return None
