"""Reading with ``--read select``: one cursor a session, in a read-only transaction, fetched in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from psycopg2 import sql

from skfleet_common.contracts.chunks import IdRange
from skfleet_common.contracts.columns import Column
from skfleet_common.tables.port import Selection, SourceBatch
from skfleet_common.tables.redshift.connect import Server
from skfleet_common.tables.redshift.cursors import FETCH_ROWS, Row, stream, take_as_printed
from skfleet_common.tables.redshift.types import as_printed, as_text, key_hashing, read_type
from skfleet_common.tables.redshift.values import feature_array, printed_text, text_array
from skfleet_common.tables.sql.selection import column_of, from_selection, joined_texts, within_range
from skfleet_common.tables.sql.unreadable import readable_features


@dataclass(frozen=True)
class RedshiftReader:
    """The :class:`~skfleet_common.tables.port.Reader` of Redshift."""

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

        Closing the iterator early ends the transaction and closes the connection.

        Raises:
            SourceChanged: a column is gone, or has another type.
            TryAgain: the connection broke.
            Refused: Redshift cannot give a value, and says so for the whole statement.
        """
        asked = [column_of(source.table, name) for name in features]
        beside = [column_of(source.table, name) for name in verbatim]
        # A column that is both is read once.
        columns = list({column.name: column for column in (*asked, *beside)}.values())
        conditions = []
        if within is not None:
            if split_column is None or split_type is None:
                raise ValueError("a range needs split_column and split_type")
            conditions.append(within_range(split_column, split_type, within, key_hashing(source.table)))
        query = sql.SQL("SELECT {} {}{}").format(
            sql.SQL(", ").join([as_printed(column) for column in columns] or [sql.SQL("1")]),
            from_selection(source, *conditions),
            _drawn(source),
        )
        doing = f"reading {source.table.name}"
        for rows in stream(self.server, query, doing, rows=min(batch_rows, FETCH_ROWS)):
            yield _source_batch(rows, columns, asked, beside)

    def middle_key(
        self, source: Selection, *, split_column: str, split_type: str, within: IdRange
    ) -> str | None:
        """Give the middle one of the keys above the range's least; None if there is no other key."""
        known = read_type(split_type)
        column = Column(name=split_column, warehouse_type=known.spelled, dtype=known.dtype)
        key = sql.Identifier(split_column)
        condition = within_range(split_column, split_type, within, key_hashing(source.table))
        rows = from_selection(source, condition)
        query = sql.SQL(
            "SELECT {printed} FROM (SELECT k, row_number() OVER (ORDER BY k) AS place, count(*) OVER () AS n "
            "FROM (SELECT {key} AS k {rows}) keys WHERE k > (SELECT min({key}) {rows})) above "
            "WHERE place = n / 2 + 1"
        ).format(printed=as_printed(column, sql.Identifier("k")), key=key, rows=rows)
        with self.server.transaction(f"cutting {source.table.name}") as cursor:
            take_as_printed(cursor).execute(query)
            found = cursor.fetchone()
        return None if found is None else printed_text(found[0], column)


def _drawn(source: Selection) -> sql.Composable:
    """Give the clause that draws a sample, or nothing: the rows whose ids' digests come first."""
    sample = source.sample
    if sample is None:
        return sql.SQL("")
    ids = [as_text(column_of(source.table, name)) for name in sample.id_columns]
    return sql.SQL(" ORDER BY md5({}) LIMIT {}").format(
        joined_texts([sql.Literal(str(sample.seed)), *ids]), sql.Literal(sample.rows)
    )


def _source_batch(
    rows: Sequence[Row], columns: Sequence[Column], features: Sequence[Column], verbatim: Sequence[Column]
) -> SourceBatch:
    printed = {
        column.name: pa.array(values, pa.string())
        for column, values in zip(columns, zip(*rows, strict=True), strict=False)
    }
    arrays, unreadable = readable_features(
        [feature_array(printed[column.name], column) for column in features], features
    )
    return SourceBatch(
        features=_batch(arrays, features, len(rows)),
        verbatim=_batch(
            [text_array(printed[column.name], column) for column in verbatim], verbatim, len(rows)
        ),
        unreadable=unreadable,
    )


def _batch(arrays: Sequence[pa.Array], columns: Sequence[Column], rows: int) -> pa.RecordBatch:
    if columns:
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
    # from_arrays([]) would forget how many rows there are.
    return pa.RecordBatch.from_arrays([pa.nulls(rows)], names=["none"]).select([])
