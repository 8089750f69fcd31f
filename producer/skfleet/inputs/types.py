"""Types of files' columns: the words of ``--type``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from skfleet.naming import find_column
from skfleet_common.contracts.columns import TYPE_WORDS, Column, LogicalDtype
from skfleet_common.contracts.errors import UsageError, nearest


def check_types(asked: Mapping[str, str]) -> dict[str, LogicalDtype]:
    """Give the types that ``--type`` names, by column as the user spelt it.

    Raises:
        UsageError: there is no type of that name.
    """
    for column, word in asked.items():
        if word not in TYPE_WORDS:
            known = list(TYPE_WORDS)
            raise UsageError(
                f"--type {column}={word} names no type; use one of {', '.join(known)}{nearest(word, known)}"
            )
    return {column: TYPE_WORDS[word] for column, word in asked.items()}


def types_by_column(
    asked: Mapping[str, LogicalDtype], columns: Sequence[Column], *, source: object
) -> dict[str, LogicalDtype]:
    """Give the asked types by the columns' own names.

    Raises:
        Refused: ``source`` has no such column.
    """
    return {
        find_column(columns, name, flag="--type", source=source).name: dtype for name, dtype in asked.items()
    }
