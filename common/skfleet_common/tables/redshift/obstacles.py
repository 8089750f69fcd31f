"""Obstacles: what stands on a table, would be lost with it and cannot be given to its successor."""

from __future__ import annotations

import re
from collections.abc import Sequence

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.tables.redshift.belongings import Belongings
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.grants import may_act_as
from skfleet_common.tables.redshift.output_types import spelled_type, type_of
from skfleet_common.tables.redshift.views import View, columns_read, views_of

_REFERRERS = """
SELECT k.conname, n.nspname, c.relname
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.confrelid = %s AND k.conrelid <> %s AND k.contype = 'f' ORDER BY k.conname
"""

_COLUMN_ORDER = """
SELECT a.attname FROM pg_catalog.pg_attribute a
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


def refuse_obstacles(
    cursor: Cursor, table: TableName, old: Belongings, columns: Sequence[OutputColumn], *, cascade_views: bool
) -> tuple[View, ...]:
    """Refuse to replace a table of which something would be lost; give the views that are bound to it.

    Raises:
        Refused: the sentence names it.
    """
    cursor.execute(_REFERRERS, (old.oid, old.oid))
    for constraint, schema, name in cursor.fetchall():
        raise Refused(
            f"{table} cannot be replaced without losing the foreign key {constraint} of {schema}.{name}, "
            "which refers to it; drop that first, use --if-exists append, or name another --output-table."
        )
    _refuse_lacking(table, old, {column.name for column in columns})
    views = views_of(cursor, old.oid)
    if views and not cascade_views:
        names = ", ".join(f"view {view.name}" for view in views)
        raise Refused(
            f"{table} cannot be replaced, because {names} {'reads' if len(views) == 1 else 'read'} it; "
            "add --cascade-views to point views at the new table, make them WITH NO SCHEMA BINDING, or use "
            "--if-exists append."
        )
    for view in views:
        _refuse_view(cursor, table, old.oid, view, columns)
    return views


def _refuse_lacking(table: TableName, old: Belongings, names: set[str]) -> None:
    """Refuse what stands on columns that the new output does not have, or that count by themselves."""
    stands = [("its distribution or sort key", key) for key in old.build.keys]
    stands += [
        (f"constraint {constraint.name}", column)
        for constraint in old.constraints
        for column in sorted(constraint.columns)
    ]
    for what, column in stands:
        if column not in names:
            raise Refused(
                f"{table} cannot be replaced, because {what} stands on its column {column}, which the new "
                "output does not have; drop that first, or name another --output-table."
            )
    for column, default in old.build.defaults.items():
        if column in names and is_identity(default):
            raise Refused(
                f"{table} cannot be replaced without losing that it numbers its column {column} itself "
                "(IDENTITY); append to it without that column, or name another --output-table."
            )


def is_identity(default: str | None) -> bool:
    """Whether a column's default is how the catalogue spells IDENTITY."""
    return re.match(r'"?(default_)?identity"?\(', default or "", re.IGNORECASE) is not None


def _refuse_view(
    cursor: Cursor, table: TableName, oid: int, view: View, columns: Sequence[OutputColumn]
) -> None:
    if not may_act_as(cursor, view.owner):
        raise Refused(
            f"{table} cannot be replaced, because the warehouse role may not replace view {view.name} of "
            f"{view.owner}; make the role its owner, or the view WITH NO SCHEMA BINDING."
        )
    given = {column.name: column for column in columns}
    for name, spelled in columns_read(cursor, view, oid):
        if name not in given or type_of(given[name]) != spelled_type(spelled):
            has = f"has as {type_of(given[name])}" if name in given else "does not have"
            raise Refused(
                f"{table} cannot be replaced, because view {view.name} reads its column {name} as {spelled}, "
                f"which the new output {has}; drop the view first, or name another --output-table."
            )
    cursor.execute(_COLUMN_ORDER, (oid,))
    names = [name for (name,) in cursor.fetchall()]
    if view.reads_by_place(table) and [column.name for column in columns][: len(names)] != names:
        raise Refused(
            f"{table} cannot be replaced, because view {view.name} calls its columns by their order, which "
            "the new output changes; drop the view first, or name another --output-table."
        )
