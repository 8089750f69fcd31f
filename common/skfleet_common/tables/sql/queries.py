"""What a query is called, and must call its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused, shown

#: How sentences to people name it; an empty schema is no schema's name.
THE_QUERY = TableName(schema_name="", name="the query")

#: PostgreSQL's name, and Redshift's, for a column that has none.
_UNNAMED = "?column?"


def refuse_unnamed(names: Sequence[str]) -> None:
    """Refuse a query whose columns cannot be told apart by name.

    Raises:
        Refused: it has none, or one has no name, or two have the same.
    """
    if not names:
        raise Refused("--query has no columns; select some.")
    for position, name in enumerate(names, start=1):
        if name == _UNNAMED:
            raise Refused(f"Column {position} of --query has no name; give it one with AS.")
    for name, times in Counter(names).items():
        if times > 1:
            raise Refused(f"--query has {times} columns called {shown(name)}; rename all but one with AS.")
