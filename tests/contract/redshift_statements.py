"""Statements that were sent to Redshift, parsed as Redshift's dialect."""

from __future__ import annotations

import re
from collections.abc import Iterable

import sqlglot
from sqlglot import exp

#: What Redshift documents ("BEGIN", "FETCH") and sqlglot has no grammar for.
_KNOWN = re.compile(r"BEGIN READ ONLY|FETCH FORWARD \d+ FROM skfleet_rows")
#: What stands before a SELECT that is parsed by itself.
_BEFORE = re.compile(r"(DECLARE skfleet_rows CURSOR FOR|EXPLAIN) ")


def parsed(statement: str) -> exp.Expression | None:
    """Parse a statement; None for one that only Redshift's manual knows.

    Raises:
        SqlglotError: it is not of Redshift's dialect.
        AssertionError: sqlglot did not understand it, either.
    """
    if _KNOWN.fullmatch(statement.strip()):
        return None
    found = sqlglot.parse(_BEFORE.sub("", statement.strip()), dialect="redshift")
    assert len(found) == 1, statement
    assert found[0] is not None, statement
    assert not isinstance(found[0], exp.Command | exp.Alias), statement
    return found[0]


def system_names(statements: Iterable[str]) -> set[str]:
    """Give the system relations and functions that statements name."""
    names = set()
    for statement in statements:
        tree = parsed(statement)
        if tree is None:
            continue
        names |= {table.name for table in tree.find_all(exp.Table)}
        names |= {call.name for call in tree.find_all(exp.Anonymous)}
    return {name for name in names if re.match(r"pg_|svv_|stv_|stl_|sys_|has_|current_|format_", name)}
