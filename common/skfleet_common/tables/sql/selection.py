"""Selections and ranges as SQL. Names and literals are composed by the driver, never formatted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


#: Gives the hash of some columns of a row, from 0 up to 2**32, in a dialect.
Hashing = Callable[[Sequence[str]], sql.Composable]


def joined_texts(texts: Sequence[sql.Composable]) -> sql.Composed:
    """Give one text of several of a row, for a digest; NULL counts as none."""
    return sql.SQL(" || '/' || ").join([sql.SQL("coalesce({}, '')").format(text) for text in texts])


def within_range(split_column: str, split_type: str, within: IdRange, hashing: Hashing) -> sql.Composed:
    """Give the condition that a row's split key, and its hash where a key is cut, lies in a range."""
    column = sql.Identifier(split_column)
    hashed = hashing(within.hash_columns) if within.hash_columns else sql.SQL("0")
    if within.nulls:
        nulls: list[sql.Composable] = [sql.SQL("{} IS NULL").format(column)]
        if within.first_hash:
            nulls.append(sql.SQL("{} >= {}").format(hashed, sql.Literal(within.first_hash)))
        if within.stop_hash:
            nulls.append(sql.SQL("{} < {}").format(hashed, sql.Literal(within.stop_hash)))
        return sql.SQL(" AND ").join(nulls)
    bounds: list[sql.Composable] = [sql.SQL("{} IS NOT NULL").format(column)]
    if within.first is not None:
        first = key_literal(within.first, split_type)
        bounds.append(sql.SQL("{} >= {}").format(column, first))
        if within.first_hash:
            partly = sql.SQL("({} > {} OR {} >= {})")
            bounds.append(partly.format(column, first, hashed, sql.Literal(within.first_hash)))
    if within.stop is not None:
        stop = key_literal(within.stop, split_type)
        is_included = within.stop_included or within.stop_hash > 0
        bounds.append(sql.SQL("{} <= {}" if is_included else "{} < {}").format(column, stop))
        if within.stop_hash:
            partly = sql.SQL("({} < {} OR {} < {})")
            bounds.append(partly.format(column, stop, hashed, sql.Literal(within.stop_hash)))
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
