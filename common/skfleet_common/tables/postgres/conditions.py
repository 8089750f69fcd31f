"""What the database itself says of a condition that has passed :mod:`skfleet_common.tables.where`."""

from __future__ import annotations

from collections.abc import Collection

import psycopg2
from psycopg2 import sql

from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.refusals import condition_refusal
from skfleet_common.tables.where import Condition

#: A volatile function may give another answer, or do something, each time it is called (PostgreSQL manual,
#: "Function Volatility Categories"): pg_sleep, nextval, set_config, pg_terminate_backend, lo_*, dblink …
_VOLATILE = """
SELECT proname::text FROM pg_catalog.pg_proc WHERE provolatile = 'v' AND proname = ANY(%(functions)s)
UNION
SELECT oprname::text FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
WHERE p.provolatile = 'v' AND oprname = ANY(%(operators)s)
ORDER BY 1
"""


def refuse_volatile(
    cursor: Cursor, functions: Collection[str], operators: Collection[str], *, option: str
) -> None:
    """Refuse SQL that calls what may change something, as the catalogue knows."""
    cursor.execute(_VOLATILE, {"functions": list(functions), "operators": list(operators)})
    volatile = cursor.fetchone()
    if volatile is not None:
        raise Refused(
            f"{option} calls {volatile[0]}, which may act, or answer differently each time; leave it out."
        )


def check_condition_in(cursor: Cursor, table: SourceTable, condition: Condition) -> None:
    """Let the database plan, but not run, the condition over ``table``.

    Raises:
        Refused: it names what is not there, is not boolean, or calls what may change something.
    """
    refuse_volatile(cursor, condition.functions, condition.operators, option="--where")
    query = sql.SQL("EXPLAIN SELECT FROM {}.{} WHERE ({})").format(
        sql.Identifier(table.name.schema_name), sql.Identifier(table.name.name), sql.SQL(condition.text)
    )
    try:
        # Without arguments, psycopg2 leaves every % alone.
        cursor.execute(query)
    except psycopg2.Error as exc:
        refusal = condition_refusal(exc, table, warehouse="PostgreSQL")
        if refusal is None:
            raise
        raise refusal from exc
