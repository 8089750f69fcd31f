"""Output tables: what must hold so that publishing can make, append to or replace one."""

from __future__ import annotations

from collections.abc import Sequence

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.redshift.belongings import Belongings, belongings_of
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.grants import may_act_as
from skfleet_common.tables.redshift.obstacles import is_identity, refuse_obstacles
from skfleet_common.tables.redshift.output_types import spelled_type, type_of
from skfleet_common.tables.redshift.relations import NAME_LIMIT
from skfleet_common.tables.sql.ledger import LEDGER
from skfleet_common.tables.sql.selection import qualified

#: "Quotas and limits in Amazon Redshift".
_MAX_COLUMNS = 1_600

#: What is said before anything is scored, and again if the setting is gone by then.
NO_ROLE = (
    "Redshift loads outputs with an IAM role of its own, and none is named; set SKFLEET_REDSHIFT_IAM_ROLE to "
    "its ARN, or to default."
)

_EXISTING = """
SELECT c.oid, c.relkind, pg_catalog.pg_get_userbyid(c.relowner)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""

_EXTERNAL = "SELECT count(*) FROM svv_external_tables WHERE schemaname = %s AND tablename = %s"

_TARGET_COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
"""


def refuse_output(
    cursor: Cursor,
    table: TableName,
    columns: Sequence[OutputColumn],
    *,
    if_exists: IfExists,
    cascade_views: bool = False,
) -> Belongings | None:
    """Refuse what publishing would stumble over; publishing asks again, for much may change in between.

    Gives what a table has that is to be replaced.

    Raises:
        Refused: the sentence says what is in the way, and which right is missing.
    """
    _refuse_columns(table, columns)
    _refuse_schema(cursor, table)
    cursor.execute(_EXISTING, (table.schema_name, table.name))
    found = cursor.fetchone()
    if found is None:
        return None
    oid, kind, owner = found
    if if_exists is IfExists.FAIL:
        what = "" if kind == "r" else " (it is a view)"
        raise Refused(
            f"{table} exists already{what}; name another --output-table, or add --if-exists append|replace."
        )
    if kind != "r":
        verb = "be replaced" if if_exists is IfExists.REPLACE else "take rows"
        raise Refused(f"{table} is a view, which cannot {verb}; name another --output-table.")
    if if_exists is IfExists.REPLACE:
        return _refuse_replacing(cursor, table, owner, columns, cascade_views=cascade_views)
    _refuse_appending(cursor, table, oid, columns)
    return None


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
        type_of(column)


def _refuse_schema(cursor: Cursor, table: TableName) -> None:
    schema = table.schema_name
    cursor.execute("SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = %s", (schema,))
    ((schemas,),) = cursor.fetchall()
    if not schemas:
        raise Refused(f"There is no schema {schema} for the output; create it.")
    for right in ("USAGE", "CREATE"):
        cursor.execute("SELECT has_schema_privilege(%s, %s)", (schema, right))
        if cursor.fetchone() != (True,):
            raise Refused(
                f"The warehouse role may not create tables in schema {schema}; grant it {right} there."
            )
    cursor.execute("SELECT current_database(), has_database_privilege(current_database(), 'TEMP')")
    ((database, may_load),) = cursor.fetchall()
    if not may_load:
        raise Refused(
            f"The warehouse role may not make temporary tables, through which it loads; grant it TEMP on "
            f"database {database}."
        )
    cursor.execute(_EXTERNAL, (schema, table.name))
    ((externals,),) = cursor.fetchall()
    if externals:
        raise Refused(
            f"{table} is an external table, to which skfleet does not publish; name another --output-table."
        )
    ledger = TableName(schema_name=schema, name=LEDGER)
    cursor.execute(_EXISTING, (schema, LEDGER))
    if cursor.fetchone() is not None:
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            if not _may(cursor, ledger, right):
                raise Refused(
                    f"The warehouse role may not lock, read and write {ledger}, where publications are "
                    "recorded; grant it SELECT, INSERT, UPDATE and DELETE."
                )


def _refuse_replacing(
    cursor: Cursor, table: TableName, owner: str, columns: Sequence[OutputColumn], *, cascade_views: bool
) -> Belongings | None:
    if not may_act_as(cursor, owner):
        raise Refused(
            f"The warehouse role does not own {table} and so cannot replace it; let a superuser make it the "
            "owner (ALTER TABLE … OWNER TO), or name another table."
        )
    old = belongings_of(cursor, table)
    if old is not None:
        refuse_obstacles(cursor, table, old, columns, cascade_views=cascade_views)
    return old


def _refuse_appending(cursor: Cursor, table: TableName, oid: int, columns: Sequence[OutputColumn]) -> None:
    if not _may(cursor, table, "INSERT"):
        raise Refused(f"The warehouse role may not insert into {table}; grant it INSERT.")
    cursor.execute(_TARGET_COLUMNS, (oid,))
    target = {name: rest for name, *rest in cursor.fetchall()}
    for column in columns:
        if column.name not in target:
            raise Refused(
                f"{table} has no column {column.name}, which the output has; add it or use another table."
            )
        spelled, _, default = target[column.name]
        if is_identity(default):
            raise Refused(f"{table} numbers its column {column.name} itself; append to another table.")
        has, given = spelled_type(spelled), type_of(column)
        if not given.goes_into(has):
            raise Refused(
                f"{table} has {column.name} as {spelled}, but the output has {given}; use another table."
            )
    names = {column.name for column in columns}
    missing = sorted(
        name
        for name, (_, required, default) in target.items()
        if required and default is None and name not in names
    )
    if missing:
        raise Refused(
            f"{table} requires a value in {missing[0]}, which the output does not have; use another table."
        )


def _may(cursor: Cursor, table: TableName, right: str) -> bool:
    """Whether the role has a right on a table."""
    name = qualified(table).as_string(cursor.connection)
    cursor.execute("SELECT has_table_privilege(%s, %s)", (name, right))
    return cursor.fetchone() == (True,)
