"""Samples: the same rows for the same seed and ids."""

from __future__ import annotations

from psycopg2 import sql

from skfleet_common.tables.port import RowSample


def drawn(sample: RowSample | None) -> sql.Composable:
    """Give the clause that draws a sample, or nothing: the rows whose ids' digests come first.

    A digest by the ids draws the same rows however the table lies on the disk.
    """
    if sample is None:
        return sql.SQL("")
    ids = [sql.SQL("{}::pg_catalog.text").format(sql.Identifier(name)) for name in sample.id_columns]
    return sql.SQL("ORDER BY pg_catalog.md5(pg_catalog.concat_ws('/', {})) LIMIT {}").format(
        sql.SQL(", ").join([sql.Literal(str(sample.seed)), *ids]), sql.Literal(sample.rows)
    )
