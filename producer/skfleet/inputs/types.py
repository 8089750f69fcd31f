"""Types of files' columns: the words of ``--type``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from skfleet.naming import find_column
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import UsageError, nearest

#: What ``--type`` takes.
WORDS = {
    "integer": LogicalDtype.INTEGER,
    "float": LogicalDtype.FLOAT64,
    "decimal": LogicalDtype.DECIMAL,
    "boolean": LogicalDtype.BOOLEAN,
    "text": LogicalDtype.TEXT,
    "date": LogicalDtype.DATE,
    "time": LogicalDtype.TIME,
    "timestamp": LogicalDtype.TIMESTAMP,
    "timestamptz": LogicalDtype.TIMESTAMPTZ,
}


def check_types(asked: Mapping[str, str]) -> dict[str, LogicalDtype]:
    """Give the types that ``--type`` names, by column as the user spelt it.

    Raises:
        UsageError: there is no type of that name.
    """
    for column, word in asked.items():
        if word not in WORDS:
            known = list(WORDS)
            raise UsageError(
                f"--type {column}={word} names no type; use one of {', '.join(known)}{nearest(word, known)}"
            )
    return {column: WORDS[word] for column, word in asked.items()}


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


def word_of(dtype: LogicalDtype) -> str:
    """Give the word by which ``--type`` asks for a type."""
    return next((word for word, known in WORDS.items() if known is dtype), str(dtype))
