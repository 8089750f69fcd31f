"""``--query``: one SELECT, hostile until proven to be no more than that.

It is read like a condition (see :mod:`.where`): scanned so that it cannot end the parenthesis into which it
is put, parsed as one query whose every node only reads, and used as it was written.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.tokens import BACKSLASHED, Wording, called, operators, rebuilt, scan

_WORDING = Wording("--query", "one SELECT")

#: Kinds of node that write, lock or bind.
_FOREIGN_NODES = (
    exp.DDL, exp.DML, exp.Command, exp.Into, exp.Lock, exp.Placeholder, exp.Parameter, exp.SessionParameter,
    exp.Semicolon, exp.Returning,
)  # fmt: skip


@dataclass(frozen=True)
class Query:
    """A query that has passed; ``text`` is safe between parentheses."""

    text: str
    #: What it calls, as the catalogue spells it, and the operators that it uses.
    functions: frozenset[str]
    operators: frozenset[str]


def check_query(text: str, *, dialect: str) -> Query:
    """Give the query rebuilt from its tokens, if it is exactly one that only reads; a final semicolon goes.

    Raises:
        Refused: the sentence says what --query must not hold.
    """
    text = text.strip().removesuffix(";")
    if not text.strip():
        raise Refused("--query is empty; write one SELECT.")
    tokens = scan(text, _WORDING, backslashes=dialect in BACKSLASHED)
    written = rebuilt(tokens)
    for node in _parse(written, dialect=dialect).walk():
        if isinstance(node, _FOREIGN_NODES) and not isinstance(node, exp.Query):
            raise Refused("--query does more than read; write one SELECT that neither writes nor locks.")
    return Query(text=written, functions=frozenset(called(tokens)), operators=operators(tokens))


def _parse(text: str, *, dialect: str) -> exp.Expression:
    try:
        parsed = sqlglot.parse(text, dialect=dialect)
    except (SqlglotError, RecursionError) as exc:
        raise Refused("--query is not one SELECT; correct it, or put it into a view.") from exc
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        raise Refused("--query is not one SELECT; correct it, or put it into a view.")
    tree: exp.Expression = parsed[0]
    return tree
