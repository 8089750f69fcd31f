"""The catalogue: which tables there are, their columns and types, and what a role may do with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.errors import Refused, nearest
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Selection
from skfleet_common.tables.postgres.conditions import check_condition_in
from skfleet_common.tables.postgres.connect import Cursor, Server
from skfleet_common.tables.postgres.outputs import NAME_LIMIT, refuse_output
from skfleet_common.tables.postgres.queries import describe_query
from skfleet_common.tables.postgres.successor import rehearse
from skfleet_common.tables.postgres.types import logical_dtype
from skfleet_common.tables.query import check_query
from skfleet_common.tables.sql.names import NamePart, WrittenName, read_name
from skfleet_common.tables.where import check_condition

#: pg_class.relkind of what holds rows: table, partitioned table, view, materialized view, foreign table.
_WITH_ROWS = ["r", "p", "v", "m", "f"]

#: Those on which TABLESAMPLE works.
_SAMPLED = {"r", "p", "m"}

#: More names than this are not read for a suggestion.
_SUGGESTED_FROM = 10_000

_FIND = """
SELECT c.oid, n.nspname, c.relname, c.relkind, greatest(c.reltuples, 0)::bigint
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY(%(kinds)s) AND n.nspname = ANY(%(schemas)s) AND c.relname = ANY(%(names)s)
ORDER BY array_position(%(schemas)s, n.nspname::text), array_position(%(names)s, c.relname::text)
LIMIT 1
"""

# A domain is unwrapped, over several steps if need be, to the type that it narrows.
_COLUMNS = """
WITH RECURSIVE unwrapped (attnum, attname, required, typ, mod) AS (
    SELECT attnum, attname, attnotnull, atttypid, atttypmod
    FROM pg_catalog.pg_attribute WHERE attrelid = %(oid)s AND attnum > 0 AND NOT attisdropped
  UNION ALL
    SELECT u.attnum, u.attname, u.required OR t.typnotnull, t.typbasetype, t.typtypmod
    FROM unwrapped u JOIN pg_catalog.pg_type t ON t.oid = u.typ WHERE t.typtype = 'd'
)
SELECT u.attname, pg_catalog.format_type(u.typ, u.mod), t.typname,
       t.typnamespace = 'pg_catalog'::regnamespace, t.typtype = 'e', u.required,
       pg_catalog.has_column_privilege(%(oid)s, u.attnum, 'SELECT')
FROM unwrapped u JOIN pg_catalog.pg_type t ON t.oid = u.typ
WHERE t.typtype <> 'd' ORDER BY u.attnum
"""


@dataclass(frozen=True)
class PostgresCatalogue:
    """The :class:`~skfleet_common.tables.port.Catalogue` of PostgreSQL."""

    server: Server

    def find_table(self, text: str) -> SourceTable:
        """Give the table, view or foreign table that ``text`` names, and the columns that may be read.

        Raises:
            Refused: there is none, or the role may not read it.
        """
        written = read_name(text, NAME_LIMIT)
        with self.server.transaction(f"looking up {written}") as cursor:
            schemas = _schemas(cursor, written)
            cursor.execute(_FIND, {"kinds": _WITH_ROWS, "schemas": schemas, "names": written.name.spellings})
            found = cursor.fetchone()
            if found is None:
                raise _no_table(cursor, written, schemas)
            oid, schema_name, name, kind, estimated_rows = found
            table = TableName(schema_name=schema_name, name=name)
            return SourceTable(
                name=table,
                columns=_readable_columns(cursor, oid, table),
                estimated_rows=estimated_rows,
                can_sample=kind in _SAMPLED,
            )

    def resolve_output(self, text: str) -> TableName:
        """Give the name of an output table: of the one that is there, else of the new one.

        Raises:
            Refused: its schema does not exist.
        """
        written = read_name(text, NAME_LIMIT)
        with self.server.transaction(f"looking up {written}") as cursor:
            schema = _schemas(cursor, written)[0]
            cursor.execute(_FIND, {"kinds": _WITH_ROWS, "schemas": [schema], "names": written.name.spellings})
            found = cursor.fetchone()
            return TableName(schema_name=schema, name=found[2] if found else written.name.spelling_if_new)

    def describe_query(self, text: str) -> Selection:
        """Give what ``text`` selects, with its columns, if it is exactly one query that only reads.

        Raises:
            Refused: it is not, or the database does not accept it.
        """
        query = check_query(text, dialect="postgres")
        with self.server.transaction("checking --query") as cursor:
            return describe_query(cursor, query)

    def check_where(self, table: SourceTable, text: str) -> str:
        """Give ``text`` rebuilt, if it is exactly one boolean expression over ``table``.

        Raises:
            Refused: it is not, or would not give the same answer each time.
        """
        condition = check_condition(text, dialect="postgres")
        with self.server.transaction(f"checking --where on {table.name}") as cursor:
            check_condition_in(cursor, table, condition)
        return condition.text

    def check_output(
        self,
        table: TableName,
        columns: Sequence[OutputColumn],
        *,
        if_exists: IfExists,
        cascade_views: bool = False,
    ) -> None:
        """Refuse an output table that publishing would not be able to make, append to or replace."""
        doing = f"checking the output table {table}"
        with self.server.transaction(doing, read_only=False) as cursor:
            refuse_output(cursor, table, columns, if_exists=if_exists, cascade_views=cascade_views)
            if if_exists is IfExists.REPLACE:
                rehearse(cursor, table, columns)
            cursor.connection.rollback()


def _schemas(cursor: Cursor, written: WrittenName) -> list[str]:
    """Give the schemas to look in, the first being where something new would go."""
    if written.schema is None:
        cursor.execute("SELECT current_schemas(false)::text[]")
        (path,) = cursor.fetchone() or ([],)
        return list(path) or ["public"]
    cursor.execute(
        "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname = ANY(%(names)s) "
        "ORDER BY array_position(%(names)s, nspname::text)",
        {"names": written.schema.spellings},
    )
    found = [name for (name,) in cursor.fetchall()]
    if not found:
        raise _no_schema(cursor, written.schema)
    return found


def _no_schema(cursor: Cursor, part: NamePart) -> Refused:
    cursor.execute("SELECT nspname::text FROM pg_catalog.pg_namespace")
    known = [name for (name,) in cursor.fetchall()]
    return Refused(f"There is no schema {part.text}{nearest(part.text, known)}")


def _no_table(cursor: Cursor, written: WrittenName, schemas: list[str]) -> Refused:
    cursor.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = ANY(%s) AND n.nspname = ANY(%s) LIMIT %s",
        (_WITH_ROWS, schemas, _SUGGESTED_FROM),
    )
    known = [name for (name,) in cursor.fetchall()]
    asked = str(written) if written.schema else f"{schemas[0]}.{written}"
    return Refused(f"There is no table {written}{nearest(asked, known)}")


def _readable_columns(cursor: Cursor, oid: int, table: TableName) -> tuple[Column, ...]:
    cursor.execute(
        "SELECT pg_catalog.has_schema_privilege(relnamespace, 'USAGE') "
        "FROM pg_catalog.pg_class WHERE oid = %s",
        (oid,),
    )
    (may_enter,) = cursor.fetchone() or (False,)
    cursor.execute(_COLUMNS, {"oid": oid})
    columns = cursor.fetchall()
    if columns and not (may_enter and any(may_read for *_, may_read in columns)):
        raise Refused(
            f"The warehouse role may not read {table}; grant it SELECT on the table and USAGE on its schema."
        )
    if not columns:
        raise Refused(f"{table} has no columns.")
    return tuple(
        Column(
            name=name,
            warehouse_type=spelled,
            dtype=logical_dtype(typname, built_in=built_in, is_enum=is_enum),
            nullable=not required,
        )
        for name, spelled, typname, built_in, is_enum, required, may_read in columns
        if may_read
    )
