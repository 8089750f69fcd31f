"""Columns as UNLOAD writes them to Parquet: with their own type where that is exact, else as text.

| column | as a feature | as an id, or carried along |
| ------ | ------------ | -------------------------- |
| smallint … bigint, double precision, boolean, varchar | as it is | the same |
| char | without its padding | the same |
| real | as it is | the double that it is |
| numeric, date, time, timestamp | as it is | its text |
| timestamptz | as a timestamp in UTC: Parquet has no zone | its text, with the zone |
| time with time zone, super | refused | its text |

The names in the files are our own: Parquet's may not be all that a quoted name may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from skfleet_common.contracts.columns import Column, LogicalDtype, SourceTable
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.file_sources import FileColumn
from skfleet_common.tables.redshift.values import is_padded
from skfleet_common.tables.sql.selection import column_of

#: Types of which a number or a text in the file says all: the worker writes its text.
_ONE_FOR_BOTH = frozenset(
    {LogicalDtype.INTEGER, LogicalDtype.FLOAT64, LogicalDtype.BOOLEAN, LogicalDtype.TEXT}
)
#: Other types that are carried along, and how their text is had. CAST knows no text of a SUPER
#: ("JSON_SERIALIZE function").
_TEXT_OF = {
    "super": "json_serialize({})",
    "time with time zone": "CAST({} AS varchar)",
}

#: About what a value takes of a file, before compression. Texts are shorter than they may be.
_BYTES = {
    LogicalDtype.INTEGER: 8,
    LogicalDtype.FLOAT32: 4,
    LogicalDtype.FLOAT64: 8,
    LogicalDtype.DECIMAL: 16,
    LogicalDtype.BOOLEAN: 1,
    LogicalDtype.DATE: 4,
    LogicalDtype.TIME: 8,
    LogicalDtype.TIMESTAMP: 8,
    LogicalDtype.TIMESTAMPTZ: 8,
}
_TEXT_BYTES = 24


@dataclass(frozen=True)
class UnloadedColumns:
    """What one UNLOAD writes, and what the files' columns are."""

    #: In the order of the files' columns.
    expressions: tuple[sql.Composable, ...]
    #: What the expressions are called, in the same order.
    names: tuple[str, ...]
    files: tuple[FileColumn, ...]
    row_bytes: int

    @classmethod
    def of(cls, table: SourceTable, *, features: Sequence[str], verbatim: Sequence[str]) -> UnloadedColumns:
        """Choose how each needed column is written, and no other.

        Raises:
            Refused: there is no exact way.
        """
        expressions: list[sql.Composable] = []
        names: list[str] = []
        files: list[FileColumn] = []
        size = 0

        def add(expression: sql.Composable, kind: LogicalDtype | None) -> str:
            nonlocal size
            expressions.append(expression)
            names.append(f"c{len(names)}")
            size += _TEXT_BYTES if kind is None else _BYTES.get(kind, _TEXT_BYTES)
            return names[-1]

        for name in dict.fromkeys([*features, *verbatim]):
            column = column_of(table, name)
            typed = text = ""
            if name in features or column.dtype in _ONE_FOR_BOTH:
                typed = add(_typed(column), column.dtype)
            if name in verbatim:
                text = typed if column.dtype in _ONE_FOR_BOTH else add(_text(column), None)
            files.append(
                FileColumn(
                    name=name,
                    dtype=column.dtype,
                    warehouse_type=column.warehouse_type,
                    nullable=column.nullable,
                    stored_as=typed or text,
                    text_in=text,
                )
            )
        return cls(tuple(expressions), tuple(names), tuple(files), size)

    def select_list(self) -> sql.Composable:
        """Give the SELECT list that writes them."""
        named = [
            sql.SQL("{} AS {}").format(expression, sql.SQL(name))
            for expression, name in zip(self.expressions, self.names, strict=True)
        ]
        return sql.SQL(", ").join(named or [sql.SQL("1 AS c0")])


def _typed(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.dtype is LogicalDtype.TIMESTAMPTZ:
        # UNLOAD drops the zone of what has one; this has none to lose.
        return sql.SQL("{} AT TIME ZONE 'UTC'").format(name)
    if is_padded(column):
        return sql.SQL("rtrim({}, ' ')").format(name)
    return name


def _text(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.dtype is LogicalDtype.FLOAT32:
        return sql.SQL("CAST({} AS double precision)").format(name)
    if column.dtype is not LogicalDtype.OTHER:
        return sql.SQL("CAST({} AS varchar)").format(name)
    how = _TEXT_OF.get(column.warehouse_type.partition("(")[0])
    if how is None:
        raise Refused(
            f"Column {column.name} is of type {column.warehouse_type}, which UNLOAD cannot write as text; "
            "leave it out of --columns, or use --read select."
        )
    return sql.SQL(how).format(name)
