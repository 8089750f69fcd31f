"""What Redshift itself says of a query that has passed :mod:`skfleet_common.tables.query`."""

from __future__ import annotations

import re

import psycopg2
from psycopg2 import sql

from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.tables.port import Selection
from skfleet_common.tables.query import Query
from skfleet_common.tables.redshift.conditions import refuse_volatile
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.types import type_numbered
from skfleet_common.tables.sql.queries import THE_QUERY, refuse_unnamed
from skfleet_common.tables.sql.refusals import query_refusal
from skfleet_common.tables.sql.selection import from_selection

#: The first line of a plan has the rows of the whole: ``XN Seq Scan on t  (cost=0.00..1.00 rows=9 width=8)``.
_PLANNED_ROWS = re.compile(r"rows=(\d+)")


def describe_query(cursor: Cursor, query: Query) -> Selection:
    """Let Redshift plan, but not run, the query, and give what it selects.

    Raises:
        Refused: it names what is not there, or calls what may change something; or its columns have no names.
    """
    refuse_volatile(cursor, query.functions, query.operators, option="--query")
    bare = Selection(table=SourceTable(name=THE_QUERY, columns=(), can_sample=False), query=query.text)
    try:
        # Without arguments, psycopg2 leaves every % alone. No row is fetched.
        cursor.execute(sql.SQL("SELECT * {} LIMIT 0").format(from_selection(bare)))
        columns = _columns(cursor)
        cursor.execute(sql.SQL("EXPLAIN SELECT * {}").format(from_selection(bare)))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    except psycopg2.Error as exc:
        refusal = query_refusal(exc, warehouse="Redshift")
        if refusal is None:
            raise
        raise refusal from exc
    planned = _PLANNED_ROWS.search(plan)
    table = SourceTable(
        name=THE_QUERY, columns=columns, estimated_rows=int(planned[1]) if planned else 0, can_sample=False
    )
    return Selection(table=table, query=query.text)


def _columns(cursor: Cursor) -> tuple[Column, ...]:
    described = cursor.description or ()
    refuse_unnamed([part.name for part in described])
    columns = []
    for part in described:
        known = type_numbered(
            part.type_code, length=part.internal_size, precision=part.precision, scale=part.scale
        )
        columns.append(Column(name=part.name, warehouse_type=known.spelled, dtype=known.dtype))
    return tuple(columns)
