"""Output tables: what must hold so that publishing can make, append to or replace one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.relations import NAME_LIMIT
from skfleet_common.tables.redshift.types import read_type
from skfleet_common.tables.sql.ledger import LEDGER

#: "Quotas and limits in Amazon Redshift", columns of a table.
_MAX_COLUMNS = 1600

_SCHEMA = """
SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE')
FROM pg_namespace WHERE nspname = %(schema)s
"""

_EXISTING = """
SELECT c.oid, c.relkind, u.usename IS NOT NULL, has_table_privilege(c.oid, 'INSERT')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_user u ON u.usename = current_user AND (u.usesysid = c.relowner OR u.usesuper)
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
"""

_LEDGER = """
SELECT has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
"""

# Views with schema binding alone: those without find the new table by its name.
_BOUND_VIEWS = """
SELECT DISTINCT n.nspname, v.relname FROM pg_depend d
JOIN pg_rewrite r ON r.oid = d.objid
JOIN pg_class v ON v.oid = r.ev_class
JOIN pg_namespace n ON n.oid = v.relnamespace
WHERE d.refobjid = %(oid)s AND v.oid <> %(oid)s ORDER BY 1, 2
"""

_REFERENCES = """
SELECT n.nspname, t.relname, k.conname FROM pg_constraint k
JOIN pg_class t ON t.oid = k.conrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE k.confrelid = %(oid)s AND k.conrelid <> %(oid)s ORDER BY 1, 2, 3
"""

_TARGET_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef FROM pg_attribute
WHERE attrelid = %(oid)s AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True)
class _Existing:
    oid: int
    kind: str
    is_owned: bool
    takes_rows: bool


def refuse_output(
    cursor: Cursor,
    table: TableName,
    columns: Sequence[OutputColumn],
    *,
    if_exists: IfExists,
    cascade_views: bool = False,
) -> None:
    """Refuse what publishing would stumble over; publishing asks again, for much may change in between.

    Raises:
        Refused: the sentence says what is in the way.
    """
    _refuse_columns(table, columns)
    named = {"schema": table.schema_name, "table": table.name}
    _refuse_schema(cursor, table)
    cursor.execute(_EXISTING, named)
    found = cursor.fetchone()
    if found is None:
        return
    existing = _Existing(*found)
    if if_exists is IfExists.FAIL:
        what = " (it is a view)" if existing.kind != "r" else ""
        raise Refused(
            f"{table} exists already{what}; name another --output-table, or add --if-exists append|replace."
        )
    if existing.kind != "r":
        raise Refused(f"{table} is a view; name another --output-table.")
    if if_exists is IfExists.REPLACE:
        _refuse_replacing(cursor, table, existing, cascade_views=cascade_views)
    else:
        _refuse_appending(cursor, table, existing, columns)


def _refuse_columns(table: TableName, columns: Sequence[OutputColumn]) -> None:
    if table.name == LEDGER:
        raise Refused(f"{table} is skfleet's own ledger of publications; name another --output-table.")
    names = [column.name for column in columns]
    for name in [table.name, *names]:
        if not name or "\0" in name or len(name.encode()) > NAME_LIMIT.most_bytes:
            raise Refused(
                f"{name!r} cannot be a name in Redshift, which takes 1 to {NAME_LIMIT.most_bytes} bytes."
            )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise Refused(f"The output would have two columns named {repeated[0]}; rename one in the source.")
    if len(names) > _MAX_COLUMNS:
        raise Refused(f"The output would have {len(names)} columns; Redshift takes at most {_MAX_COLUMNS}.")
    for column in columns:
        # Type names are put into CREATE TABLE as they are, so each must be exactly one type's name.
        if not read_type(column.warehouse_type).is_known:
            raise Refused(f"The output column {column.name} has a type that Redshift does not know here.")


def _refuse_schema(cursor: Cursor, table: TableName) -> None:
    cursor.execute(_SCHEMA, {"schema": table.schema_name})
    found = cursor.fetchone()
    if found is None:
        raise Refused(f"There is no schema {table.schema_name} for the output; create it.")
    if not found[0]:
        raise Refused(
            f"The warehouse role may not create tables in schema {table.schema_name}; grant it CREATE and "
            "USAGE there."
        )
    cursor.execute(_LEDGER, {"schema": table.schema_name, "table": LEDGER})
    ledger = cursor.fetchone()
    if ledger is not None and not ledger[0]:
        raise Refused(
            f"The warehouse role may not read and write {table.schema_name}.{LEDGER}, where publications are "
            "recorded; grant it SELECT and INSERT."
        )


def _refuse_replacing(cursor: Cursor, table: TableName, existing: _Existing, *, cascade_views: bool) -> None:
    if not existing.is_owned:
        raise Refused(
            f"The warehouse role does not own {table} and so cannot replace it; name another table."
        )
    cursor.execute(_BOUND_VIEWS, {"oid": existing.oid})
    views = [f"{schema}.{name}" for schema, name in cursor.fetchall()]
    if views and not cascade_views:
        raise Refused(
            f"{table} cannot be replaced because view {views[0]} reads it; add --cascade-views, or make the "
            "view WITH NO SCHEMA BINDING."
        )
    cursor.execute(_REFERENCES, {"oid": existing.oid})
    for schema, name, constraint in cursor.fetchall():
        raise Refused(
            f"{table} cannot be replaced without losing constraint {constraint} on table {schema}.{name}; "
            "drop it, or name another --output-table."
        )


def _refuse_appending(
    cursor: Cursor, table: TableName, existing: _Existing, columns: Sequence[OutputColumn]
) -> None:
    if not existing.takes_rows:
        raise Refused(f"The warehouse role may not insert into {table}; grant it INSERT.")
    cursor.execute(_TARGET_COLUMNS, {"oid": existing.oid})
    target = {name: (read_type(spelled).spelled, required) for name, spelled, required in cursor.fetchall()}
    for column in columns:
        if column.name not in target:
            raise Refused(
                f"{table} has no column {column.name}, which the output has; add it or use another table."
            )
        spelled, _ = target[column.name]
        if spelled != read_type(column.warehouse_type).spelled:
            raise Refused(
                f"{table} has {column.name} as {spelled}, but the output has {column.warehouse_type}; "
                "use another table."
            )
    given = {column.name for column in columns}
    missing = sorted(name for name, (_, required) in target.items() if required and name not in given)
    if missing:
        raise Refused(
            f"{table} requires a value in {missing[0]}, which the output does not have; use another table."
        )
