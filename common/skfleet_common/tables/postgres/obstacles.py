"""Obstacles: what stands on a table, would be lost with it and cannot be given to its successor.

Everything that depends on the table by PostgreSQL's own account is an obstacle, unless it is known to be
kept: what a later version of PostgreSQL adds is refused, not lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.postgres.spellings import spellings
from skfleet_common.tables.postgres.views import View, columns_read, views_of

_LOST = """
WITH one AS (SELECT c.* FROM pg_catalog.pg_class c WHERE c.oid = %(oid)s)
SELECT DISTINCT found.what FROM (
    SELECT CASE WHEN v.relkind IN ('v', 'm') AND r.rulename = '_RETURN'
                THEN pg_catalog.pg_describe_object('pg_class'::regclass, v.oid, 0)
                ELSE pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) END AS what
    FROM one JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_class'::regclass AND d.refobjid = one.oid
        OR d.refclassid = 'pg_type'::regclass
           AND d.refobjid IN (SELECT unnest(ARRAY[y.oid, y.typarray])
                              FROM pg_catalog.pg_type y WHERE y.typrelid = one.oid)
    LEFT JOIN pg_catalog.pg_class x ON d.classid = 'pg_class'::regclass AND x.oid = d.objid
    LEFT JOIN pg_catalog.pg_type y ON d.classid = 'pg_type'::regclass AND y.oid = d.objid
    LEFT JOIN pg_catalog.pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
    LEFT JOIN pg_catalog.pg_attribute fa ON fa.attrelid = f.adrelid AND fa.attnum = f.adnum
    LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
    LEFT JOIN pg_catalog.pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
    LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    LEFT JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
    WHERE NOT coalesce(
        x.oid = one.oid
        OR x.relkind IN ('i', 't')
        OR y.typrelid = one.oid OR y.typelem = one.reltype
        OR f.adrelid = one.oid AND fa.attgenerated = ''
        OR k.conrelid = one.oid AND (k.contype IN ('c', 'p', 'u', 'x', 'n')
                                     OR k.contype = 'f' AND k.confrelid <> one.oid)
        OR g.tgisinternal
        OR v.relkind = 'v' AND v.relpersistence = 'p' AND r.rulename = '_RETURN'
           AND d.refclassid = 'pg_class'::regclass
        OR d.classid = 'pg_statistic_ext'::regclass, false)
  UNION ALL
    SELECT 'inheritance from ' || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0)
    FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = %(oid)s AND d.objsubid = 0
      AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> %(oid)s AND d.deptype = 'n'
  UNION ALL
    SELECT pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0) FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = %(oid)s AND d.deptype IN ('e', 'x')
  UNION ALL
    SELECT 'its type ' || one.reloftype::regtype::text FROM one WHERE one.reloftype <> 0
  UNION ALL
    SELECT 'row-level security' FROM one WHERE one.relrowsecurity OR one.relforcerowsecurity
  UNION ALL
    SELECT 'a security label of ' || provider FROM pg_catalog.pg_seclabel
    WHERE classoid = 'pg_class'::regclass AND objoid = %(oid)s
  UNION ALL
    SELECT 'a subscription of logical replication' FROM pg_catalog.pg_subscription_rel WHERE srrelid = %(oid)s
) found ORDER BY 1
"""

_COLUMNS_LACKED = """
SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0), a.attname::text
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
LEFT JOIN pg_catalog.pg_class x ON d.classid = 'pg_class'::regclass AND x.oid = d.objid
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s AND d.refobjsubid > 0
  AND (k.contype <> 'n' OR x.relkind = 'i' OR d.classid = 'pg_statistic_ext'::regclass)
  AND a.attname <> ALL (%(columns)s)
ORDER BY 1, 2
"""

# From PostgreSQL 16 on, a member of a role may be kept from acting as it.
_MAY_GIVE_AWAY = """
SELECT pg_catalog.pg_get_userbyid(c.relowner)::text,
       pg_catalog.pg_has_role(c.relowner,
           CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END),
       pg_catalog.has_schema_privilege(c.relowner, c.relnamespace, 'CREATE')
FROM pg_catalog.pg_class c WHERE c.oid = %s
"""

_FORBIDDEN_REFERENCES = """
SELECT k.conname::text, k.confrelid::regclass::text FROM pg_catalog.pg_constraint k
WHERE k.conrelid = %(oid)s AND k.contype = 'f' AND k.confrelid <> k.conrelid
  AND NOT (SELECT bool_and(pg_catalog.has_column_privilege(k.confrelid, n, 'REFERENCES'))
           FROM unnest(k.confkey) n)
ORDER BY 1
"""


def refuse_obstacles(
    cursor: Cursor, table: TableName, oid: int, columns: Sequence[OutputColumn], *, cascade_views: bool
) -> None:
    """Refuse to replace a table of which something would be lost.

    Raises:
        Refused: the sentence names it.
    """
    cursor.execute(_LOST, {"oid": oid})
    lost = [what for (what,) in cursor.fetchall()]
    if lost:
        raise Refused(
            f"{table} cannot be replaced without losing {', '.join(lost)}; drop that first, use --if-exists "
            "append, or name another --output-table."
        )
    cursor.execute(_COLUMNS_LACKED, {"oid": oid, "columns": [column.name for column in columns]})
    for what, column in cursor.fetchall():
        raise Refused(
            f"{table} cannot be replaced, because {what} stands on its column {column}, which the new output "
            "does not have; drop that first, or name another --output-table."
        )
    _refuse_rights(cursor, table, oid)
    views = views_of(cursor, oid)
    if views and not cascade_views:
        names = ", ".join(f"view {view.name}" for view in views)
        raise Refused(
            f"{table} cannot be replaced, because {names} {'reads' if len(views) == 1 else 'read'} it; "
            "add --cascade-views to point views at the new table, or use --if-exists append."
        )
    for view in views:
        _refuse_view(cursor, table, oid, view, columns)


def _refuse_rights(cursor: Cursor, table: TableName, oid: int) -> None:
    cursor.execute(_MAY_GIVE_AWAY, (oid,))
    ((owner, may_act, may_create),) = cursor.fetchall()
    if not may_act or not may_create:
        raise Refused(
            f"The warehouse role cannot leave a new {table} to its owner {owner}: "
            + (
                f"grant it {owner} WITH SET TRUE."
                if not may_act
                else f"grant {owner} CREATE on schema {table.schema_name}."
            )
        )
    cursor.execute(_FORBIDDEN_REFERENCES, {"oid": oid})
    for constraint, other in cursor.fetchall():
        raise Refused(
            f"The warehouse role cannot give a new {table} its foreign key {constraint}; "
            f"grant it REFERENCES on {other}."
        )


def _refuse_view(
    cursor: Cursor, table: TableName, oid: int, view: View, columns: Sequence[OutputColumn]
) -> None:
    if not view.is_replaceable:
        raise Refused(
            f"{table} cannot be replaced, because the warehouse role may not replace view {view.name}; make "
            f"it a member of {view.owner} and grant it CREATE on schema {view.name.schema_name}."
        )
    given = {column.name: column.warehouse_type for column in columns}
    for name, spelled in columns_read(cursor, view, oid):
        if name not in given or spelled not in spellings(cursor, given[name]):
            has = f"has as {given[name]}" if name in given else "does not have"
            raise Refused(
                f"{table} cannot be replaced, because view {view.name} reads its column {name} as {spelled}, "
                f"which the new output {has}; drop the view first, or name another --output-table."
            )
    _refuse_order(cursor, table, oid, view, columns)


def _refuse_order(
    cursor: Cursor, table: TableName, oid: int, view: View, columns: Sequence[OutputColumn]
) -> None:
    """Refuse a view that calls columns by their place, if these are not where they were."""
    cursor.execute(
        "SELECT format('%%I.%%I', %s::text, %s::text), ARRAY("
        "SELECT attname::text FROM pg_catalog.pg_attribute "
        "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum)",
        (table.schema_name, table.name, oid),
    )
    ((quoted, names),) = cursor.fetchall()
    if view.reads_by_place(quoted) and [column.name for column in columns][: len(names)] != names:
        raise Refused(
            f"{table} cannot be replaced, because view {view.name} calls its columns by their order, which "
            "the new output changes; drop the view first, or name another --output-table."
        )
