"""Selections and ranges as SQL. Names and literals are composed by the driver, never formatted."""

from __future__ import annotations

from psycopg2 import sql

from skfleet_common.contracts.chunks import IdRange, TableName
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.errors import SourceChanged
from skfleet_common.tables.port import Selection


def qualified(table: TableName) -> sql.Composed:
    """Give a table's quoted name."""
    return sql.SQL("{}.{}").format(sql.Identifier(table.schema_name), sql.Identifier(table.name))


def from_selection(source: Selection, *conditions: sql.Composable) -> sql.Composed:
    """Give ``FROM … WHERE …``; the selection's own condition was checked, and stands in parentheses."""
    every = [sql.SQL("({})").format(sql.SQL(source.where))] if source.where is not None else []
    every += [sql.SQL("({})").format(condition) for condition in conditions]
    clause = sql.SQL(" AND ").join(every) if every else sql.SQL("true")
    return sql.SQL("FROM {} WHERE {}").format(_rows_of(source), clause)


def _rows_of(source: Selection) -> sql.Composable:
    if source.query is None:
        return qualified(source.table.name)
    return sql.SQL("({}) AS {}").format(sql.SQL(source.query), sql.Identifier("query"))


def within_range(split_column: str, split_type: str, within: IdRange) -> sql.Composed:
    """Give the condition that a row's split key lies in a range."""
    column = sql.Identifier(split_column)
    if within.nulls:
        return sql.SQL("{} IS NULL").format(column)
    bounds: list[sql.Composable] = [sql.SQL("{} IS NOT NULL").format(column)]
    if within.first is not None:
        bounds.append(sql.SQL("{} >= {}").format(column, key_literal(within.first, split_type)))
    if within.stop is not None:
        comparison = sql.SQL("{} <= {}" if within.stop_included else "{} < {}")
        bounds.append(comparison.format(column, key_literal(within.stop, split_type)))
    return sql.SQL(" AND ").join(bounds)


def key_literal(key: str, warehouse_type: str) -> sql.Composed:
    """Give a split key as a literal of its type, so that an index or a sort key on the column serves."""
    return sql.SQL("CAST({} AS {})").format(sql.Literal(key), sql.SQL(warehouse_type))


def column_of(table: SourceTable, name: str) -> Column:
    """Give a column that the caller has reason to expect.

    Raises:
        SourceChanged: the table has none of this name.
    """
    column = table.column(name)
    if column is None:
        raise SourceChanged(f"{table.name} no longer has a column {name}; submit the request again.")
    return column
