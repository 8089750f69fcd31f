"""What Redshift itself says of a condition that has passed :mod:`skfleet_common.tables.where`."""

from __future__ import annotations

from collections.abc import Collection

import psycopg2
from psycopg2 import sql

from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.sql.refusals import condition_refusal
from skfleet_common.tables.sql.selection import qualified
from skfleet_common.tables.where import Condition

#: What acts, or answers differently each time, whether the catalogue of functions knows it or not: some of
#: Redshift's own functions are not in it.
_VOLATILE_HERE = frozenset(
    {"currval", "nextval", "pg_cancel_backend", "pg_sleep", "pg_terminate_backend", "rand", "random",
     "set_config", "setval"}
)  # fmt: skip

#: A user-defined function is volatile unless it says otherwise ("CREATE FUNCTION").
_VOLATILE = """
SELECT proname FROM pg_proc WHERE provolatile = 'v' AND proname IN %(functions)s ORDER BY 1
"""
_VOLATILE_OPERATORS = """
SELECT o.oprname FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
WHERE p.provolatile = 'v' AND o.oprname IN %(operators)s ORDER BY 1
"""


def refuse_volatile(
    cursor: Cursor, functions: Collection[str], operators: Collection[str], *, option: str
) -> None:
    """Refuse SQL that calls what may change something."""
    volatile = sorted(_VOLATILE_HERE.intersection(functions))
    if functions and not volatile:
        cursor.execute(_VOLATILE, {"functions": tuple(functions)})
        volatile = [name for (name,) in cursor.fetchall()]
    if operators and not volatile:
        cursor.execute(_VOLATILE_OPERATORS, {"operators": tuple(operators)})
        volatile = [name for (name,) in cursor.fetchall()]
    if volatile:
        raise Refused(
            f"{option} calls {volatile[0]}, which may act, or answer differently each time; leave it out."
        )


def check_condition_in(cursor: Cursor, table: SourceTable, condition: Condition) -> None:
    """Let Redshift plan, but not run, the condition over ``table``.

    Raises:
        Refused: it names what is not there, is not boolean, or calls what may change something.
    """
    refuse_volatile(cursor, condition.functions, condition.operators, option="--where")
    query = sql.SQL("EXPLAIN SELECT 1 FROM {} WHERE ({})").format(
        qualified(table.name), sql.SQL(condition.text)
    )
    try:
        # Without arguments, psycopg2 leaves every % alone.
        cursor.execute(query)
    except psycopg2.Error as exc:
        refusal = condition_refusal(exc, table, warehouse="Redshift")
        if refusal is None:
            raise
        raise refusal from exc
