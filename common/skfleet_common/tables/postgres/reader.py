"""Reading: binary COPY, decoded to Arrow by ADBC, streamed in bounded batches.

docs/decisions/reading-postgresql.md has the measurements behind the choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import adbc_driver_manager
import pyarrow as pa
from adbc_driver_manager._reader import AdbcRecordBatchReader
from adbc_driver_postgresql import StatementOptions, dbapi
from psycopg2 import sql

from skfleet_common.contracts.chunks import IdRange
from skfleet_common.contracts.columns import Column
from skfleet_common.tables.port import Selection, SourceBatch
from skfleet_common.tables.postgres.connect import Server
from skfleet_common.tables.postgres.faults import cannot_connect, translated
from skfleet_common.tables.postgres.sample import drawn
from skfleet_common.tables.postgres.types import as_feature, as_text, key_hash
from skfleet_common.tables.sql.selection import column_of, from_selection, within_range
from skfleet_common.tables.sql.unreadable import readable_features

#: What the driver decodes at a time. Smaller saves no memory worth having, larger is no faster (measured).
_BATCH_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class PostgresReader:
    """The :class:`~skfleet_common.tables.port.Reader` of PostgreSQL."""

    server: Server

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
        """Stream rows in batches of 1 to ``batch_rows``; no rows give no batch.

        Closing the iterator early cancels the statement and closes the connection.

        Raises:
            SourceChanged: a column is gone, or has another type.
            TryAgain: the connection broke.
            Refused: the database cannot give a value, and says so for the whole statement.
        """
        columns = [column_of(source.table, name) for name in features]
        names = list(verbatim)
        conditions = []
        if within is not None:
            if split_column is None or split_type is None:
                raise ValueError("a range needs split_column and split_type")
            conditions.append(within_range(split_column, split_type, within, key_hash))
        query = sql.SQL("SELECT {} {} {}").format(
            _select_list(columns, names), from_selection(source, *conditions), drawn(source.sample)
        )
        doing = f"reading {source.table.name}"
        settings, text = self.server.rendered(self.server.session_settings(), query)
        with translated(doing, self.server.address), self._stream(text, settings) as batches:
            for batch in batches:
                for part in _slices(batch, batch_rows):
                    yield _source_batch(part, columns, names)

    def middle_key(
        self, source: Selection, *, split_column: str, split_type: str, within: IdRange
    ) -> str | None:
        """Give the middle one of the keys above the range's least; None if there is no other key."""
        query = sql.SQL(
            "WITH keys AS MATERIALIZED (SELECT {key} AS k {rows}), "
            "above AS (SELECT k FROM keys WHERE k > (SELECT k FROM keys ORDER BY k LIMIT 1)) "
            "SELECT {text} FROM above ORDER BY above.k OFFSET (SELECT count(*) / 2 FROM above) LIMIT 1"
        ).format(
            key=sql.Identifier(split_column),
            rows=from_selection(source, within_range(split_column, split_type, within, key_hash)),
            text=as_text("k"),
        )
        with self.server.transaction(f"cutting {source.table.name}") as cursor:
            cursor.execute(query)
            found = cursor.fetchone()
        return None if found is None else str(found[0])

    @contextmanager
    def _stream(self, query: str, settings: str) -> Iterator[AdbcRecordBatchReader]:
        try:
            connection = dbapi.connect(self.server.conninfo)
        except adbc_driver_manager.Error as exc:
            raise cannot_connect(exc, self.server.address) from exc
        try:
            _pin_session(connection, settings)
            cursor = connection.cursor()
            try:
                cursor.adbc_statement.set_options(
                    **{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
                )
                cursor.execute(query)
                # cursor.fetch_record_batch() would give pyarrow's own reader, which loses the SQLSTATE of an
                # error in mid-stream.
                handle = cursor.fetch_arrow()  # it releases the stream when it goes, so it is kept till then
                batches = AdbcRecordBatchReader._import_from_c(handle.address)
                try:
                    yield batches
                except BaseException:
                    with suppress(adbc_driver_manager.Error):
                        cursor.adbc_cancel()
                    raise
                finally:
                    batches.close()
            finally:
                cursor.close()
        finally:
            connection.close()


def _pin_session(connection: dbapi.Connection, settings: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(settings)
        cursor.fetchone()
        cursor.execute("SELECT set_config('default_transaction_read_only', 'on', false)")
        cursor.fetchone()
    connection.commit()


def _select_list(columns: Sequence[Column], verbatim: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(
        [as_feature(column) for column in columns] + [as_text(name) for name in verbatim]
    )


def _slices(batch: pa.RecordBatch, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Cut into pieces of nearly equal size, none larger than ``batch_rows``."""
    pieces = -(-batch.num_rows // batch_rows)
    for piece in range(pieces):
        first = batch.num_rows * piece // pieces
        yield batch.slice(first, batch.num_rows * (piece + 1) // pieces - first)


def _source_batch(batch: pa.RecordBatch, columns: Sequence[Column], verbatim: Sequence[str]) -> SourceBatch:
    names = [column.name for column in columns]
    features, unreadable = readable_features(batch.columns[: len(columns)], columns)
    return SourceBatch(
        features=pa.RecordBatch.from_arrays(features, names=names),
        verbatim=_verbatim_batch(batch, len(columns), verbatim),
        unreadable=unreadable,
    )


def _verbatim_batch(batch: pa.RecordBatch, first: int, names: Sequence[str]) -> pa.RecordBatch:
    if names:
        return pa.RecordBatch.from_arrays(batch.columns[first:], names=list(names))
    # from_arrays([]) would forget how many rows there are.
    return batch.select([])
