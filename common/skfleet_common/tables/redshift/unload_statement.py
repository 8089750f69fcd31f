"""The UNLOAD statement: a query in quotes, a place of its own, and no word that would overwrite anything."""

from __future__ import annotations

from psycopg2 import sql

from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.unload_sizes import UnloadSizes


def unload_statement(
    cursor: Cursor, query: sql.Composable, *, to: str, iam_role: str, sizes: UnloadSizes
) -> sql.Composable:
    """Give the statement that writes what ``query`` selects below ``to``.

    Neither CLEANPATH nor ALLOWOVERWRITE: where files are already, it fails, and nothing is mixed.
    """
    role = sql.SQL("default") if iam_role == "default" else quoted(iam_role)
    return sql.SQL(
        "UNLOAD ({}) TO {} IAM_ROLE {} FORMAT AS PARQUET MANIFEST VERBOSE "
        "MAXFILESIZE {} MB ROWGROUPSIZE {} MB"
    ).format(
        quoted(query.as_string(cursor)),
        quoted(to),
        role,
        sql.SQL(f"{sizes.file_megabytes:d}"),
        sql.SQL(f"{sizes.group_megabytes:d}"),
    )


def quoted(text: str) -> sql.SQL:
    """Give a text as a literal in which a backslash escapes, as in every literal of Redshift.

    The driver's own would begin with an E, which UNLOAD's grammar does not know.
    """
    return sql.SQL("'" + text.replace("\\", "\\\\").replace("'", "''") + "'")
