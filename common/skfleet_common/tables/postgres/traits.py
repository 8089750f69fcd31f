"""Traits of a replaced table's columns: defaults, comments and what ANALYZE shall know, of several too."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.postgres.build import option_list
from skfleet_common.tables.postgres.connect import Cursor
from skfleet_common.tables.sql.keeping import keep
from skfleet_common.tables.sql.selection import qualified

_TRAITS = """
SELECT a.attname::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid), nullif(a.attstattarget, -1)::int,
       coalesce(a.attoptions, '{}'), col_description(a.attrelid, a.attnum)
FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_STATISTICS = """
SELECT n.nspname::text, s.stxname::text, pg_catalog.pg_get_statisticsobjdef(s.oid),
       pg_catalog.pg_get_userbyid(s.stxowner)::text, nullif(s.stxstattarget, -1)::int,
       obj_description(s.oid, 'pg_statistic_ext')
FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
WHERE s.stxrelid = %s ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Traits:
    """What a column has besides its type and values."""

    column: str
    default: str | None
    statistics: int | None
    options: tuple[str, ...]
    comment: str | None


@dataclass(frozen=True)
class Statistics:
    """What ANALYZE shall know of several columns together (CREATE STATISTICS)."""

    schema: str
    name: str
    #: The whole statement; it names the table as it is called before and after the swap.
    definition: str
    owner: str
    target: int | None
    comment: str | None


def traits_of(cursor: Cursor, oid: int) -> tuple[Traits, ...]:
    """Read the traits of all columns; the search path must be empty, so that all names are complete."""
    cursor.execute(_TRAITS, (oid,))
    return tuple(
        Traits(name, default, statistics, tuple(options), comment)
        for name, default, statistics, options, comment in cursor.fetchall()
    )


def statistics_of(cursor: Cursor, oid: int) -> tuple[Statistics, ...]:
    """Read the statistics objects of a table; the search path must be empty, as above."""
    cursor.execute(_STATISTICS, (oid,))
    return tuple(Statistics(*found) for found in cursor.fetchall())


def give_traits(cursor: Cursor, staging: TableName, traits: Traits) -> None:
    """Give a column of the new table what the old one's of this name had."""
    changes: list[tuple[str, sql.Composable]] = []
    if traits.default is not None:
        changes.append(("the default", sql.SQL("SET DEFAULT ") + sql.SQL(traits.default)))
    if traits.statistics is not None:
        changes.append(
            ("the statistics", sql.SQL("SET STATISTICS {}").format(sql.Literal(traits.statistics)))
        )
    if traits.options:
        options = option_list(traits.options)
        changes.append(("the options", sql.SQL("SET {}").format(options)))
    for what, change in changes:
        keep(
            cursor,
            f"{what} of column {traits.column}",
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} {}").format(
                qualified(staging), sql.Identifier(traits.column), change
            ),
        )
    if traits.comment is not None:
        cursor.execute(
            sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                qualified(staging), sql.Identifier(traits.column), sql.Literal(traits.comment)
            )
        )


def make_statistics(cursor: Cursor, statistics: Statistics) -> None:
    """Make a statistics object anew, when the new table bears the name and the old object is gone."""
    what = f"statistics {statistics.name}"
    here = sql.Identifier(statistics.schema, statistics.name)
    keep(cursor, what, sql.SQL(statistics.definition))
    if statistics.target is not None:
        keep(
            cursor,
            what,
            sql.SQL("ALTER STATISTICS {} SET STATISTICS {}").format(here, sql.Literal(statistics.target)),
        )
    if statistics.comment is not None:
        comment = sql.Literal(statistics.comment)
        cursor.execute(sql.SQL("COMMENT ON STATISTICS {} IS {}").format(here, comment))
    cursor.execute("SELECT current_user::text = %s", (statistics.owner,))
    (is_mine,) = cursor.fetchone() or (False,)
    if not is_mine:
        keep(
            cursor,
            what,
            sql.SQL("ALTER STATISTICS {} OWNER TO {}").format(here, sql.Identifier(statistics.owner)),
        )
