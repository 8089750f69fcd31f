"""What the database itself says of a query that has passed :mod:`skfleet_common.tables.query`."""

from __future__ import annotations

import json
from collections import Counter

import psycopg2
from psycopg2 import errorcodes, sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.tables.port import Selection
from skfleet_common.tables.postgres.conditions import refuse_volatile
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.postgres.types import logical_dtype
from skfleet_common.tables.query import Query
from skfleet_common.tables.sql.selection import from_selection

#: How sentences to people name it; an empty schema is no schema's name.
THE_QUERY = TableName(schema_name="", name="the query")

#: PostgreSQL's name for a column that has none.
_UNNAMED = "?column?"

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
        refusal = _refusal(exc)
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
    if not described:
        raise Refused("--query has no columns; select some.")
    for position, part in enumerate(described, start=1):
        if part.name == _UNNAMED:
            raise Refused(f"Column {position} of --query has no name; give it one with AS.")
    for name, times in Counter(part.name for part in described).items():
        if times > 1:
            raise Refused(f"--query has {times} columns called {shown(name)}; rename all but one with AS.")
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


def _refusal(exc: psycopg2.Error) -> Refused | None:
    """Give the sentence for an error that the query's own words caused."""
    if exc.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
        return Refused("--query reads what the warehouse role may not; grant it SELECT there.")
    # Classes 22 and 42: a literal that its type does not take, a name or a syntax that does not exist. No row
    # has been read, so that the message quotes nothing but the query.
    if exc.pgcode is not None and exc.pgcode[:2] in {"22", "42", "0A", "21", "3F", "25"}:
        said = str(exc.diag.message_primary or "").rstrip(".")
        return Refused(f"--query is not accepted by PostgreSQL: {said}.")
    return None
