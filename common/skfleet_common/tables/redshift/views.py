"""Views over a replaced table, pointed at its successor.

A view without schema binding finds tables by name whenever it is read, and goes on by itself. Another one is
bound to the old table; it is replaced, not dropped, so that its owner, grants and comment, and all that
depends on it in turn, stay what they are. Therefore its columns must stay what they are, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

# A view's rule depends on the table (n), and on the view itself (i).
_VIEWS = """
SELECT DISTINCT v.oid, n.nspname, v.relname, pg_catalog.pg_get_userbyid(v.relowner)
FROM pg_catalog.pg_depend below
JOIN pg_catalog.pg_depend above ON above.objid = below.objid AND above.classid = below.classid
JOIN pg_catalog.pg_class v ON v.oid = above.refobjid
JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
WHERE below.refobjid = %(oid)s AND above.deptype = 'i' AND v.oid <> %(oid)s AND v.relkind = %(kind)s
ORDER BY n.nspname, v.relname
"""

_COLUMNS = """
SELECT a.attname FROM pg_catalog.pg_attribute a
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_READ_COLUMNS = """
SELECT DISTINCT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_depend below
JOIN pg_catalog.pg_depend above ON above.objid = below.objid AND above.classid = below.classid
JOIN pg_catalog.pg_attribute a ON a.attrelid = below.refobjid AND a.attnum = below.refobjsubid
WHERE below.refobjid = %s AND below.refobjsubid > 0 AND above.refobjid = %s AND above.deptype = 'i'
ORDER BY a.attname
"""


@dataclass(frozen=True)
class View:
    """A view that reads the table of an ``oid`` itself, not through another view."""

    oid: int
    name: TableName
    owner: str
    definition: str
    columns: tuple[str, ...]

    def reads_by_place(self, table: TableName) -> bool:
        """Whether it may rename the columns of a table by their order: ``scores s(a, b)``."""
        name = rf'(?:"{re.escape(table.name)}"|{re.escape(table.name)})'
        alias = r'(?:\s+(?:AS\s+)?(?:"(?:[^"]|"")+"|\w+))?'
        return re.search(rf"{name}{alias}\s*\(", self.definition, re.IGNORECASE) is not None


def views_of(cursor: Cursor, oid: int) -> tuple[View, ...]:
    """Read the views that are bound to a table."""
    # So that definitions are printed with the schema of every name in them.
    cursor.execute("SET search_path TO pg_catalog")
    cursor.execute(_VIEWS, {"oid": oid, "kind": "v"})
    views = []
    for view, schema, name, owner in cursor.fetchall():
        cursor.execute("SELECT pg_catalog.pg_get_viewdef(%s)", (view,))
        ((definition,),) = cursor.fetchall()
        cursor.execute(_COLUMNS, (view,))
        columns = tuple(column for (column,) in cursor.fetchall())
        views.append(View(view, TableName(schema_name=schema, name=name), owner, definition, columns))
    return tuple(views)


def columns_read(cursor: Cursor, view: View, oid: int) -> list[tuple[str, str]]:
    """Give the columns of a table that a view reads, with their types."""
    cursor.execute(_READ_COLUMNS, (oid, view.oid))
    return cursor.fetchall()


def replace_views(cursor: Cursor, views: Sequence[View]) -> None:
    """Make views read the table that has the old one's name now.

    Raises:
        Refused: the new columns do not make the same view.
    """
    for view in views:
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in view.columns)
        keep(
            cursor,
            f"view {view.name}",
            sql.SQL("CREATE OR REPLACE VIEW {} ({}) AS ").format(qualified(view.name), columns)
            + sql.SQL(view.definition),
        )
