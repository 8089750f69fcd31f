"""Views over a replaced table, pointed at its successor.

A view is replaced, not dropped: it remains the same object, so that its owner, grants, comment and triggers,
and all that depends on it in turn, stay what they are. Therefore its columns must stay what they are too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.postgres.belongings import complete_names
from skfleet_common.tables.postgres.build import option_list
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

# Those that others read come first: a reader locks a view before what lies under it, and so do we.
_VIEWS = """
WITH RECURSIVE over (view, level) AS (
    SELECT r.ev_class, 0 FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s
  UNION
    SELECT r.ev_class, o.level + 1 FROM over o
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = o.view
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
    WHERE r.ev_class <> o.view
)
SELECT v.oid, n.nspname::text, v.relname::text, pg_catalog.pg_get_userbyid(v.relowner)::text,
       coalesce(v.reloptions, '{}'), pg_catalog.pg_get_viewdef(v.oid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       pg_catalog.pg_has_role(v.relowner, 'USAGE')
           AND pg_catalog.has_schema_privilege(v.relnamespace, 'USAGE')
           AND pg_catalog.has_schema_privilege(v.relnamespace, 'CREATE')
FROM pg_catalog.pg_class v JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
WHERE v.relkind = 'v' AND v.relpersistence = 'p'
  AND EXISTS (SELECT FROM over WHERE view = v.oid AND level = 0)
ORDER BY (SELECT max(level) FROM over WHERE view = v.oid) DESC, v.oid
"""

_READ_COLUMNS = """
SELECT DISTINCT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE r.ev_class = %s AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s AND d.refobjsubid > 0
ORDER BY 1
"""


@dataclass(frozen=True)
class View:
    """A view that reads the table of an ``oid`` itself, not through another view."""

    oid: int
    name: TableName
    owner: str
    options: tuple[str, ...]
    definition: str
    columns: tuple[str, ...]
    #: Whether the warehouse role has what it takes to replace it.
    is_replaceable: bool

    def reads_by_place(self, quoted: str) -> bool:
        """Whether it may rename the columns of a table by their order: ``scores s(a, b)``."""
        alias = r'(?:\s+(?:"(?:[^"]|"")+"|\w+))?'
        return re.search(re.escape(quoted) + alias + r"\s*\(", self.definition) is not None


def views_of(cursor: Cursor, oid: int) -> tuple[View, ...]:
    """Read the views over a table, in the order in which to lock them."""
    with complete_names(cursor):
        cursor.execute(_VIEWS, {"oid": oid})
        return tuple(
            View(
                view,
                TableName(schema_name=schema, name=name),
                owner,
                tuple(options),
                text,
                tuple(columns),
                own,
            )
            for view, schema, name, owner, options, text, columns, own in cursor.fetchall()
        )


def columns_read(cursor: Cursor, view: View, oid: int) -> list[tuple[str, str]]:
    """Give the columns of a table that a view reads, with their types."""
    cursor.execute(_READ_COLUMNS, (view.oid, oid))
    return cursor.fetchall()


def lock_view(cursor: Cursor, view: View) -> None:
    """Keep readers off a view. LOCK TABLE would lock all tables that the view reads as well."""
    cursor.execute(
        sql.SQL("ALTER VIEW {} OWNER TO {}").format(qualified(view.name), sql.Identifier(view.owner))
    )


def replace_views(cursor: Cursor, views: Sequence[View]) -> None:
    """Make views read the table that has the old one's name now.

    Raises:
        Refused: the new columns do not make the same view.
    """
    with complete_names(cursor):
        for view in views:
            options = sql.SQL(" WITH {}").format(option_list(view.options)) if view.options else sql.SQL("")
            columns = sql.SQL(", ").join(sql.Identifier(name) for name in view.columns)
            keep(
                cursor,
                f"view {view.name}",
                sql.SQL("CREATE OR REPLACE VIEW {} ({}){} AS ").format(qualified(view.name), columns, options)
                + sql.SQL(view.definition),
            )
