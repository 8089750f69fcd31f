"""Relations: what can be read, by its name: tables, views with and without schema binding, external tables.

The leader knows tables and bound views in its PostgreSQL catalogue; the columns of late-binding views come
from a function, those of external tables from a view of the external catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.columns import Column
from skfleet_common.contracts.errors import Refused, nearest
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.types import read_type
from skfleet_common.tables.sql.names import NameLimit, NamePart, WrittenName

#: "Names and identifiers".
NAME_LIMIT = NameLimit("Redshift", 127)

#: More names than this are not read for a suggestion.
_SUGGESTED_FROM = 10_000

#: What external catalogues call otherwise than Redshift does.
_EXTERNAL_TYPES = {"float": "real", "binary": "varbyte"}

_IN_CATALOGUE = """
SELECT n.nspname, c.relname, c.oid, c.relkind, c.reltuples,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm') AND n.nspname IN %(schemas)s AND c.relname IN %(names)s
"""

_EXTERNAL = """
SELECT schemaname, tablename FROM svv_external_tables
WHERE schemaname IN %(schemas)s AND tablename IN %(names)s
"""

_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
WHERE attrelid = %(oid)s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""

_LATE_COLUMNS = """
SELECT col_name, col_type FROM pg_get_late_binding_view_cols()
AS late(view_schema name, view_name name, col_name name, col_type varchar, col_num int)
WHERE view_schema = %(schema)s AND view_name = %(name)s ORDER BY col_num
"""

_EXTERNAL_COLUMNS = """
SELECT columnname, external_type FROM svv_external_columns
WHERE schemaname = %(schema)s AND tablename = %(name)s ORDER BY columnnum
"""


@dataclass(frozen=True)
class Relation:
    """A table or view that was found."""

    name: TableName
    #: None for an external table, of which pg_class knows nothing.
    oid: int | None = None
    kind: str = "r"
    estimated_rows: int = 0
    is_readable: bool = True


def find_relation(cursor: Cursor, written: WrittenName, schemas: Sequence[str]) -> Relation | None:
    """Give what a name means, the first spelling and schema first."""
    asked = {"schemas": tuple(schemas), "names": tuple(written.name.spellings)}
    cursor.execute(_IN_CATALOGUE, asked)
    found = [
        Relation(TableName(schema_name=schema, name=name), oid, kind, max(0, int(rows)), may_read)
        for schema, name, oid, kind, rows, may_read in cursor.fetchall()
    ]
    if not found:
        cursor.execute(_EXTERNAL, asked)
        found = [Relation(TableName(schema_name=schema, name=name)) for schema, name in cursor.fetchall()]
    order = [(schema, name) for schema in schemas for name in written.name.spellings]
    found.sort(key=lambda relation: order.index((relation.name.schema_name, relation.name.name)))
    return found[0] if found else None


def columns_of(cursor: Cursor, relation: Relation) -> tuple[Column, ...]:
    """Give the columns of a relation, in order.

    Raises:
        Refused: it has none, or reads what is not there any more.
    """
    named = {"schema": relation.name.schema_name, "name": relation.name.name}
    if relation.oid is None:
        cursor.execute(_EXTERNAL_COLUMNS, named)
        columns = [_column(name, _EXTERNAL_TYPES.get(kind, kind)) for name, kind in cursor.fetchall()]
    else:
        cursor.execute(_COLUMNS, {"oid": relation.oid})
        columns = [_column(name, kind, required=required) for name, kind, required in cursor.fetchall()]
    if not columns and relation.kind == "v":
        cursor.execute(_LATE_COLUMNS, named)
        columns = [_column(name, kind) for name, kind in cursor.fetchall()]
    if not columns:
        raise Refused(
            f"{relation.name} has no columns"
            + (" that can be told: a table that it reads is gone." if relation.kind == "v" else ".")
        )
    return tuple(columns)


def _column(name: str, spelled: str, *, required: bool = False) -> Column:
    known = read_type(spelled)
    return Column(name=name, warehouse_type=known.spelled, dtype=known.dtype, nullable=not required)


def schemas_of(cursor: Cursor, written: WrittenName) -> list[str]:
    """Give the schemas to look in, the first being where something new would go.

    Raises:
        Refused: there is no such schema.
    """
    if written.schema is None:
        cursor.execute("SELECT current_schemas(false)")
        (path,) = cursor.fetchone() or ([],)
        return list(path) or ["public"]
    cursor.execute("SELECT nspname FROM pg_namespace")
    known = [name for (name,) in cursor.fetchall()]
    found = [name for name in written.schema.spellings if name in known]
    if not found:
        raise _no_schema(written.schema, known)
    return found


def _no_schema(part: NamePart, known: list[str]) -> Refused:
    return Refused(f"There is no schema {part.text}{nearest(part.text, known)}")


def no_table(cursor: Cursor, written: WrittenName, schemas: Sequence[str]) -> Refused:
    """Say that there is no such table, and which is called nearly so."""
    cursor.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'v', 'm') AND n.nspname IN %(schemas)s LIMIT %(most)s",
        {"schemas": tuple(schemas), "most": _SUGGESTED_FROM},
    )
    known = [f"{schema}.{name}" for schema, name in cursor.fetchall()]
    asked = str(written) if written.schema else f"{schemas[0]}.{written}"
    return Refused(f"There is no table {written}{nearest(asked, known)}")
