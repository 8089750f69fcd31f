"""Loading: Arrow batches into a table by COPY, in bounded pieces of CSV."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import psycopg2
import pyarrow as pa
import pyarrow.csv
from psycopg2 import sql

from skfleet_common.tables.postgres.connect import Cursor

#: Rows turned into CSV at a time.
_ROWS_A_PIECE = 20_000

#: Bytes handed to the driver at a time.
_READ_BYTES = 1 << 16

# Strings are always quoted and NULLs never, so that an empty string stays one; doubles are written with the
# digits that give the same double again.
_CSV = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")


class _CsvOfParts(io.RawIOBase):
    """A file whose content is the CSV of batches, made while it is read."""

    def __init__(self, parts: Iterable[pa.RecordBatch], names: Sequence[str]) -> None:
        self._pieces = self._csv(parts, list(names))
        self._rest = memoryview(b"")
        #: What went wrong while batches were fetched; the driver would bury it in an error of its own.
        self.failure: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """Give up to ``size`` bytes; none at the end."""
        try:
            while not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return b""
                self._rest = memoryview(piece)
        except Exception as exc:
            self.failure = exc
            raise
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    @staticmethod
    def _csv(parts: Iterable[pa.RecordBatch], names: list[str]) -> Iterator[pa.Buffer]:
        for part in parts:
            rows = part.select(names)
            for at in range(0, rows.num_rows, _ROWS_A_PIECE):
                sink = pa.BufferOutputStream()
                pyarrow.csv.write_csv(rows.slice(at, _ROWS_A_PIECE), sink, _CSV)
                yield sink.getvalue()


def copy_into(
    cursor: Cursor, table: sql.Composed, names: Sequence[str], parts: Iterable[pa.RecordBatch]
) -> int:
    """Load ``parts`` into the columns ``names`` of a table that this transaction has made; give the rows.

    They are loaded as if they had always been there (FREEZE). Else a reader whose snapshot is older than the
    swap, but who comes to the table's name after it, would find the new table, and not a row in it: that is
    what REPEATABLE READ does, and an EXECUTE or a STABLE function that waited for the swap's lock.
    """
    source = _CsvOfParts(parts, names)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FREEZE)").format(
        table, sql.SQL(", ").join(sql.Identifier(name) for name in names)
    )
    try:
        cursor.copy_expert(statement, source, _READ_BYTES)
    except psycopg2.Error:
        if source.failure is not None:
            raise source.failure from None
        raise
    return int(cursor.rowcount)
