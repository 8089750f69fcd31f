"""Build: what only CREATE TABLE can give a table that replaces another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.tables.redshift.connect import Cursor
from skfleet_common.tables.redshift.output_types import OutputType, spelled_type, type_of

# "PG_CLASS_INFO" (Amazon Redshift guide); 10 to 12 are what Redshift chose for AUTO.
_STYLES = {0: "EVEN", 1: "KEY", 8: "ALL"}

_STYLE = """
SELECT c.releffectivediststyle
FROM pg_catalog.pg_class_info c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""

# Leaves out tables without rows, and is for superusers, unless they grant it to others ("SVV_TABLE_INFO").
_MAY_SEE = "SELECT has_table_privilege('svv_table_info', 'SELECT')"
_AUTOMATIC = """
SELECT encoded, sortkey1 FROM svv_table_info WHERE "schema" = %s AND "table" = %s
"""

# Knows the tables of the search path alone ("PG_TABLE_DEF").
_COLUMNS = """
SELECT "column", type, encoding, distkey, sortkey FROM pg_table_def
WHERE schemaname = %s AND tablename = %s
"""

_DEFAULTS = """
SELECT a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


@dataclass(frozen=True)
class Automatic:
    """Which of a table's properties are Redshift's to choose."""

    encodings: bool = False
    sort_keys: bool = False


@dataclass(frozen=True)
class Build:
    """How the rows of a table lie, and what a column is where nothing is given."""

    style: str = "AUTO"
    distribution_key: str | None = None
    #: In order.
    sort_keys: tuple[str, ...] = ()
    is_interleaved: bool = False
    #: What Redshift chose, and goes on choosing.
    automatic: Automatic = Automatic(encodings=True)
    #: By column, with its type; empty where Redshift chooses.
    encodings: Mapping[str, tuple[OutputType | None, str]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns without which it cannot be built so."""
        distribution = () if self.distribution_key is None else (self.distribution_key,)
        return (*distribution, *self.sort_keys)

    def columns(self, columns: Sequence[OutputColumn]) -> sql.Composed:
        """Give the columns of a successor, as CREATE TABLE takes them."""
        return sql.SQL(", ").join(self._column(column) for column in columns)

    def clauses(self) -> sql.Composed:
        """Give what follows the columns; what is not said is for Redshift to choose ("CREATE TABLE")."""
        parts: list[sql.Composable] = []
        if self.style != "AUTO":
            parts.append(sql.SQL(f"DISTSTYLE {self.style}"))
        if self.distribution_key is not None:
            parts.append(sql.SQL("DISTKEY ({})").format(sql.Identifier(self.distribution_key)))
        if self.sort_keys:
            names = sql.SQL(", ").join(map(sql.Identifier, self.sort_keys))
            kind = "INTERLEAVED" if self.is_interleaved else "COMPOUND"
            parts.append(sql.SQL(f"{kind} SORTKEY ({{}})").format(names))
        return sql.SQL(" ").join(parts)

    def _column(self, column: OutputColumn) -> sql.Composed:
        kind = type_of(column)
        parts: list[sql.Composable] = [sql.Identifier(column.name), sql.SQL(str(kind))]
        if column.name in self.defaults:
            parts.append(sql.SQL("DEFAULT {}").format(sql.SQL(self.defaults[column.name])))
        was, encoding = self.encodings.get(column.name, (None, ""))
        if was == kind:
            parts.append(sql.SQL(f"ENCODE {encoding}"))
        if not column.nullable:
            parts.append(sql.SQL("NOT NULL"))
        return sql.SQL(" ").join(parts)


def build_of(cursor: Cursor, table: TableName, oid: int, *, automatic: Automatic | None = None) -> Build:
    """Read how a table is built; what is ``automatic`` takes seconds to learn, so it is not learnt twice."""
    cursor.execute(_STYLE, (table.schema_name, table.name))
    (style,) = cursor.fetchone() or (None,)
    automatic = automatic or _automatic(cursor, table)
    cursor.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(table.schema_name)))
    cursor.execute(_COLUMNS, (table.schema_name, table.name))
    columns = cursor.fetchall()
    # From here on, definitions are printed with the schema of every name in them.
    cursor.execute("SET search_path TO pg_catalog")
    cursor.execute(_DEFAULTS, (oid,))
    sort_keys = sorted(((abs(place), place, name) for name, *_, place in columns if place))
    return Build(
        style=_STYLES.get(style, "AUTO"),
        distribution_key=next((name for name, _, _, is_key, _ in columns if is_key and style == 1), None),
        sort_keys=() if automatic.sort_keys else tuple(name for *_, name in sort_keys),
        is_interleaved=any(place < 0 for _, place, _ in sort_keys),
        automatic=automatic,
        encodings={}
        if automatic.encodings
        else {
            name: (spelled_type(kind.strip()), _encoding(encoding)) for name, kind, encoding, *_ in columns
        },
        defaults=dict(cursor.fetchall()),
    )


def _encoding(shown: str) -> str:
    """Give an encoding as CREATE TABLE takes it; PG_TABLE_DEF calls RAW none."""
    return {"none": "raw"}.get(shown.strip(), shown.strip())


def _automatic(cursor: Cursor, table: TableName) -> Automatic:
    """Learn what Redshift chooses; where nobody says, as of an empty table, the table stays as it is."""
    cursor.execute(_MAY_SEE)
    if cursor.fetchone() != (True,):
        return Automatic()
    cursor.execute(_AUTOMATIC, (table.schema_name, table.name))
    encoded, first_sort_key = cursor.fetchone() or ("", "")
    return Automatic(
        encodings="AUTO" in encoded.upper(),
        sort_keys=str(first_sort_key or "").upper().startswith("AUTO"),
    )
