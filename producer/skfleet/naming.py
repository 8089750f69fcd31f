"""Naming columns: what an option calls a column, looked up among those that there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from skfleet.request import split_names
from skfleet_common.contracts.columns import Column
from skfleet_common.contracts.errors import Refused, nearest


def find_column(columns: Sequence[Column], name: str, *, flag: str, source: object) -> Column:
    """Give the column that a user named: as spelt, else folded to lower case.

    Raises:
        Refused: ``source`` has no such column.
    """
    by_name = {column.name: column for column in columns}
    column = by_name.get(name) or by_name.get(name.lower())
    if column is None:
        raise Refused(f"{source} has no column {name}, which {flag} names{nearest(name, list(by_name))}")
    return column


def find_columns(
    columns: Sequence[Column], given: Sequence[str], *, flag: str, source: object
) -> tuple[Column, ...]:
    """Give the columns that an option names, which may repeat and may hold several, separated by commas.

    Raises:
        Refused: ``source`` has no such column.
    """
    known = {column.name for column in columns}
    return tuple(
        find_column(columns, name, flag=flag, source=source)
        for text in given
        for name in ((text,) if text in known else split_names(text))
    )


def names_of(columns: Iterable[Column]) -> tuple[str, ...]:
    """Give the columns' names, each once."""
    return tuple(dict.fromkeys(column.name for column in columns))
