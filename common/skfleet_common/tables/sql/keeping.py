"""Keeping: carry something of a replaced table over to its successor, or say by name that it does not fit."""

from __future__ import annotations

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.sql.faults import condition

#: Classes of SQLSTATEs that say that columns or rows do not go with what was there: feature not supported,
#: data exception, constraint violation, syntax error or access rule violation, program limit exceeded.
_UNFIT = {"0A", "22", "23", "42", "54"}


def keep(cursor: psycopg2.extensions.cursor, what: str, statement: sql.Composable) -> None:
    """Run the statement that gives ``what`` to the new table.

    Raises:
        Refused: the new table's columns or rows do not go with it.
    """
    try:
        cursor.execute(statement)
    except psycopg2.Error as exc:
        if exc.pgcode is None or exc.pgcode[:2] not in _UNFIT:
            raise
        raise Refused(
            f"The new output does not go with {what}, which must be kept ({condition(exc.pgcode)}); "
            "nothing was published: drop or change that, or name another --output-table."
        ) from exc
