"""Layouts: the sort key of a table, and what Redshift's own statistics say of it."""

from __future__ import annotations

from dataclasses import replace

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.port import Layout
from skfleet_common.tables.redshift.connect import Server

_IS_TABLE = """
SELECT count(*) FROM svv_redshift_tables WHERE database_name = current_database()
AND schema_name = %(schema)s AND table_name = %(table)s AND table_type = 'TABLE'
"""

#: Interleaved keys have every other position negative ("PG_TABLE_DEF").
_SORT_KEY = """
SELECT column_name, sortkey FROM svv_redshift_columns
WHERE database_name = current_database() AND schema_name = %(schema)s AND table_name = %(table)s
"""

#: A view of superusers, unless they grant it to others. It leaves out empty tables.
_STATISTICS = """
SELECT estimated_visible_rows, unsorted, stats_off FROM svv_table_info
WHERE "schema" = %(schema)s AND "table" = %(table)s
"""


def layout_of(server: Server, table: TableName) -> Layout | None:
    """Give how a table is kept; None of what is no table of this database, such as a view."""
    named = {"schema": table.schema_name, "table": table.name}
    with server.transaction(f"looking up the sort key of {table}") as cursor:
        cursor.execute(_IS_TABLE, named)
        if cursor.fetchone() == (0,):
            return None
        cursor.execute(_SORT_KEY, named)
        columns = cursor.fetchall()
    places = sorted((abs(place), name) for name, place in columns if place)
    layout = Layout(sort_key=tuple(name for _, name in places))
    try:
        with server.transaction(f"looking up the statistics of {table}") as cursor:
            cursor.execute(_STATISTICS, named)
            found = cursor.fetchone()
    except Refused:
        return layout
    if found is None:
        return replace(layout, rows=0)
    rows, unsorted, stats_off = (None if value is None else float(value) for value in found)
    return replace(layout, rows=None if rows is None else int(rows), unsorted=unsorted, stats_off=stats_off)
