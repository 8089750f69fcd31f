"""What the database itself says of a query that has passed :mod:`skfleet_common.tables.query`."""

from __future__ import annotations

import json

import psycopg2
from psycopg2 import sql

from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.tables.port import Selection
from skfleet_common.tables.postgres.conditions import refuse_volatile
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.postgres.types import logical_dtype
from skfleet_common.tables.query import Query
from skfleet_common.tables.sql.queries import THE_QUERY, refuse_unnamed
from skfleet_common.tables.sql.refusals import query_refusal
from skfleet_common.tables.sql.selection import from_selection

#: A domain arrives as the type that it narrows.
_TYPES = """
SELECT oid, typname::text, typnamespace = 'pg_catalog'::regnamespace, typtype = 'e',
       pg_catalog.format_type(oid, NULL)
FROM pg_catalog.pg_type WHERE oid = ANY(%s)
"""


def describe_query(cursor: Cursor, query: Query) -> Selection:
    """Let the database plan, but not run, the query, and give what it selects.

    Raises:
        Refused: it names what is not there, or calls what may change something; or its columns have no names.
    """
    refuse_volatile(cursor, query.functions, query.operators, option="--query")
    bare = Selection(table=SourceTable(name=THE_QUERY, columns=(), can_sample=False), query=query.text)
    try:
        # Without arguments, psycopg2 leaves every % alone. No row is fetched.
        cursor.execute(sql.SQL("SELECT * {} LIMIT 0").format(from_selection(bare)))
        columns = _columns(cursor)
        cursor.execute(sql.SQL("EXPLAIN (FORMAT JSON) SELECT * {}").format(from_selection(bare)))
    except psycopg2.Error as exc:
        refusal = query_refusal(exc, warehouse="PostgreSQL")
        if refusal is None:
            raise
        raise refusal from exc
    (plan,) = cursor.fetchone() or ([],)
    plan = json.loads(plan) if isinstance(plan, str) else plan
    rows = int(plan[0]["Plan"]["Plan Rows"]) if plan else 0
    table = SourceTable(name=THE_QUERY, columns=columns, estimated_rows=rows, can_sample=False)
    return Selection(table=table, query=query.text)


def _columns(cursor: Cursor) -> tuple[Column, ...]:
    described = cursor.description or ()
    refuse_unnamed([part.name for part in described])
    cursor.execute(_TYPES, ([part.type_code for part in described],))
    types = {oid: rest for oid, *rest in cursor.fetchall()}
    columns = []
    for part in described:
        typname, built_in, is_enum, spelled = types[part.type_code]
        if typname == "numeric" and part.precision not in {None, 65535}:
            spelled = f"numeric({part.precision},{part.scale})"
        dtype = logical_dtype(typname, built_in=built_in, is_enum=is_enum)
        columns.append(Column(name=part.name, warehouse_type=spelled, dtype=dtype))
    return tuple(columns)
