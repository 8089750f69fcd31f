"""Output tables: what must hold so that publishing can make, append to or replace one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg2

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.postgres.obstacles import refuse_obstacles
from skfleet_common.tables.postgres.spellings import spellings
from skfleet_common.tables.sql.ledger import LEDGER
from skfleet_common.tables.sql.names import NameLimit

#: PostgreSQL cuts longer identifiers silently (NAMEDATALEN - 1).
NAME_LIMIT = NameLimit("PostgreSQL", 63)

#: PostgreSQL's limit on the columns of a table (manual, appendix K).
_MAX_COLUMNS = 1600

#: pg_class.relkind in words, of what is not a plain table.
_KINDS = {
    "p": "a partitioned table", "v": "a view", "m": "a materialized view", "f": "a foreign table",
    "S": "a sequence", "i": "an index", "I": "an index", "c": "a composite type", "t": "a TOAST table",
}  # fmt: skip

_EXISTING = """
SELECT c.oid, c.relkind, c.relispartition, pg_catalog.pg_has_role(c.relowner, 'USAGE'),
       pg_catalog.has_table_privilege(c.oid, 'INSERT')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""

_TARGET_COLUMNS = """
SELECT attname, pg_catalog.format_type(atttypid, atttypmod),
       attnotnull AND NOT atthasdef AND attidentity = '',
       attgenerated <> '' OR attidentity = 'a'
FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
"""

# What may change or drop a row on its way in, the triggers of partitions included. A publication's session is
# no replica, so that triggers and rules which are for replicas do not count.
_ON_INSERT = """
SELECT pg_catalog.pg_describe_object('pg_trigger'::regclass, g.oid, 0) FROM pg_catalog.pg_trigger g
WHERE (g.tgrelid = %(oid)s OR g.tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(%(oid)s)))
  AND NOT g.tgisinternal AND g.tgtype::integer & 4 > 0 AND g.tgenabled IN ('O', 'A')
UNION ALL
SELECT pg_catalog.pg_describe_object('pg_rewrite'::regclass, r.oid, 0) FROM pg_catalog.pg_rewrite r
WHERE r.ev_class = %(oid)s AND r.ev_type = '3' AND r.ev_enabled IN ('O', 'A')
ORDER BY 1
"""

# Enums, domains, ranges. An array's own type makes way by itself.
_TYPE = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = %s AND t.typname = %s
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid))
"""


@dataclass(frozen=True)
class _Existing:
    oid: int
    kind: str
    is_partition: bool
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
    _refuse_columns(cursor, table, columns)
    _refuse_schema(cursor, table)
    cursor.execute(_EXISTING, (table.schema_name, table.name))
    found = cursor.fetchone()
    if found is None:
        _refuse_type_of_that_name(cursor, table)
        return
    existing = _Existing(*found)
    if if_exists is IfExists.FAIL:
        what = f" (it is {_KINDS[existing.kind]})" if existing.kind in _KINDS else ""
        raise Refused(
            f"{table} exists already{what}; name another --output-table, or add --if-exists append|replace."
        )
    if if_exists is IfExists.REPLACE:
        _refuse_replacing(cursor, table, existing, columns, cascade_views=cascade_views)
    else:
        _refuse_appending(cursor, table, existing, columns)


def _refuse_type_of_that_name(cursor: Cursor, table: TableName) -> None:
    """Each table is a type as well, so that no other type may have its name."""
    cursor.execute(_TYPE, (table.schema_name, table.name))
    (found,) = cursor.fetchone() or (False,)
    if found:
        raise Refused(
            f"{table} cannot be made, because a type has that name; drop the type, or name another "
            "--output-table."
        )


def _refuse_columns(cursor: Cursor, table: TableName, columns: Sequence[OutputColumn]) -> None:
    if table.name == LEDGER:
        raise Refused(f"{table} is skfleet's own ledger of publications; name another --output-table.")
    names = [column.name for column in columns]
    for name in [table.name, *names]:
        if not name or "\0" in name or len(name.encode()) > NAME_LIMIT.most_bytes:
            raise Refused(
                f"{name!r} cannot be a name in PostgreSQL, which takes 1 to {NAME_LIMIT.most_bytes} bytes."
            )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise Refused(f"The output would have two columns named {repeated[0]}; rename one in the source.")
    if len(names) > _MAX_COLUMNS:
        raise Refused(f"The output would have {len(names)} columns; PostgreSQL takes at most {_MAX_COLUMNS}.")
    for column in columns:
        _refuse_type(cursor, column)


def _refuse_type(cursor: Cursor, column: OutputColumn) -> None:
    """Type names are put into CREATE TABLE as they are, so each must be exactly one type's name."""
    try:
        cursor.execute("SELECT pg_catalog.to_regtype(%s) IS NOT NULL", (column.warehouse_type,))
        (known,) = cursor.fetchone() or (False,)
    except psycopg2.Error as exc:  # before PostgreSQL 16, what is no name at all is an error
        if exc.pgcode is None:
            raise
        known = False
    if not known:
        raise Refused(f"The output column {column.name} has a type that PostgreSQL does not know here.")


def _refuse_schema(cursor: Cursor, table: TableName) -> None:
    cursor.execute(
        "SELECT pg_catalog.has_schema_privilege(oid, 'USAGE') "
        "AND pg_catalog.has_schema_privilege(oid, 'CREATE') "
        "FROM pg_catalog.pg_namespace WHERE nspname = %s",
        (table.schema_name,),
    )
    found = cursor.fetchone()
    if found is None:
        raise Refused(f"There is no schema {table.schema_name} for the output; create it.")
    if not found[0]:
        raise Refused(
            f"The warehouse role may not create tables in schema {table.schema_name}; grant it CREATE there."
        )
    cursor.execute(
        "SELECT c.relkind = 'r' AND pg_catalog.has_table_privilege(c.oid, 'SELECT') "
        "AND pg_catalog.has_table_privilege(c.oid, 'INSERT') "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        (table.schema_name, LEDGER),
    )
    ledger = cursor.fetchone()
    if ledger is not None and not ledger[0]:
        raise Refused(
            f"The warehouse role may not read and write {table.schema_name}.{LEDGER}, where publications are "
            "recorded; grant it SELECT and INSERT."
        )


def _refuse_replacing(
    cursor: Cursor,
    table: TableName,
    existing: _Existing,
    columns: Sequence[OutputColumn],
    *,
    cascade_views: bool,
) -> None:
    if existing.kind != "r" or existing.is_partition:
        what = _KINDS.get(existing.kind, "a partition of another table")
        raise Refused(f"{table} is {what}, which cannot be replaced; name another --output-table.")
    if not existing.is_owned:
        raise Refused(
            f"The warehouse role does not own {table} and so cannot replace it; name another table."
        )
    refuse_obstacles(cursor, table, existing.oid, columns, cascade_views=cascade_views)


def _refuse_appending(
    cursor: Cursor, table: TableName, existing: _Existing, columns: Sequence[OutputColumn]
) -> None:
    if existing.kind not in {"r", "p"}:
        raise Refused(
            f"{table} is {_KINDS[existing.kind]}, which takes no rows; name another --output-table."
        )
    if not existing.takes_rows:
        raise Refused(f"The warehouse role may not insert into {table}; grant it INSERT.")
    cursor.execute(_ON_INSERT, {"oid": existing.oid})
    active = [what for (what,) in cursor.fetchall()]
    if active:
        raise Refused(
            f"{table} has {', '.join(active)}, which may change or drop rows on their way in; disable that, "
            "or append to another table."
        )
    cursor.execute(_TARGET_COLUMNS, (existing.oid,))
    target = {name: rest for name, *rest in cursor.fetchall()}
    for column in columns:
        if column.name not in target:
            raise Refused(
                f"{table} has no column {column.name}, which the output has; add it or use another table."
            )
        spelled, _, computed = target[column.name]
        if computed:
            raise Refused(f"{table} computes its column {column.name} itself; append to another table.")
        if spelled not in spellings(cursor, column.warehouse_type):
            raise Refused(
                f"{table} has {column.name} as {spelled}, but the output has {column.warehouse_type}; "
                "use another table."
            )
    given = {column.name for column in columns}
    missing = sorted(name for name, (_, required, _) in target.items() if required and name not in given)
    if missing:
        raise Refused(
            f"{table} requires a value in {missing[0]}, which the output does not have; use another table."
        )
