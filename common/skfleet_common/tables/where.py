"""``--where``: hostile until proven to be exactly one condition.

A read-only transaction alone does not stop ``true); COMMIT; DROP TABLE t; SELECT (1``. So the text is
read twice, by two parties that share no code:

- *The scan* (:mod:`.tokens`) knows only the database's lexical rules, and lets nothing through that could
  end the parenthesis into which the condition is put.
- *sqlglot* parses it as one expression of the dialect, whose every node must be of a kind that reads.

What comes back is built from the scanned tokens, not from sqlglot's tree: its generator normalises, and
changes what some conditions mean (``0x1F`` becomes a bit string, ``a == b`` an equality). Why it is done so
stands in docs/decisions/where-clause.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.dialects import Dialect
from sqlglot.errors import SqlglotError

from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.tokens import (
    BACKSLASHED,
    MAX_CHARACTERS,
    Token,
    Wording,
    called,
    operators,
    rebuilt,
    scan,
)

__all__ = ["MAX_CHARACTERS", "Condition", "check_condition"]

_WORDING = Wording("--where", "one boolean expression")

#: Every chunk asks anew: what the clock says then is not what it said when rows were counted.
_CLOCK_WORDS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
_CLOCK_FUNCTIONS = {"now", "transaction_timestamp", "statement_timestamp", "getdate", "timeofday"}
#: Words that are clocks in some dialects, and in others names like all others.
_CLOCK_WORDS_OF = {"redshift": {"sysdate"}}

#: Kinds of node that write, lock, bind, alias or name something else than a value.
_FOREIGN_NODES = (
    exp.DDL, exp.DML, exp.Command, exp.Into, exp.Lock, exp.Placeholder, exp.Parameter, exp.SessionParameter,
    exp.Semicolon, exp.Struct, exp.Returning, exp.TableSample,
)  # fmt: skip

#: Roots that cannot be true or false; of the rest, the database says.
_NOT_CONDITIONS = (
    exp.Literal, exp.Star, exp.Alias, exp.Aliases, exp.Tuple, exp.Array, exp.Interval,
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.DPipe,
)  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """A condition that has passed; ``text`` is safe between parentheses."""

    text: str
    #: What it calls, as the catalogue spells it, and the operators that it uses.
    functions: frozenset[str]
    operators: frozenset[str]


def check_condition(text: str, *, dialect: str) -> Condition:
    """Give the condition rebuilt from its tokens, if it is exactly one expression that only reads.

    Whether it is boolean, and over which columns, is for the database to say.

    Raises:
        Refused: the sentence says what --where must not hold.
    """
    if not text.strip():
        raise Refused("--where is empty; leave it out to take all rows.")
    tokens = scan(text, _WORDING, backslashes=dialect in BACKSLASHED)
    written = rebuilt(tokens)
    functions = frozenset(called(tokens))
    _refuse_clocks(tokens, functions, _CLOCK_WORDS | _CLOCK_WORDS_OF.get(dialect, set()))
    _refuse_nodes(_parse(written, dialect=dialect))
    return Condition(text=written, functions=functions, operators=operators(tokens))


def _refuse_clocks(tokens: list[Token], functions: frozenset[str], clocks: set[str]) -> None:
    words = {token.text.lower() for token in tokens if token.kind == "word"}
    for clock in sorted((words & clocks) | (functions & _CLOCK_FUNCTIONS)):
        raise Refused(
            f"--where asks for {clock}, which every chunk would answer differently; write the moment itself."
        )


def _parse(text: str, *, dialect: str) -> exp.Expression:
    try:
        parsed = Dialect.get_or_raise(dialect).parse_into(exp.Condition, text)
    except (SqlglotError, RecursionError) as exc:
        raise Refused("--where is not one boolean expression; write a condition such as month <= 9.") from exc
    if len(parsed) != 1 or parsed[0] is None:
        raise Refused("--where is not one boolean expression; write a condition such as month <= 9.")
    tree: exp.Expression = parsed[0]
    return tree


def _refuse_nodes(tree: exp.Expression) -> None:
    if isinstance(tree, _NOT_CONDITIONS):
        raise Refused("--where is a value, not a condition; compare it with something.")
    for node in tree.walk():
        if isinstance(node, _FOREIGN_NODES) and not isinstance(node, exp.Query):
            raise Refused(
                "--where does more than compare; only conditions and SELECT subqueries are allowed."
            )
        if isinstance(node, exp.Window | exp.AggFunc) and not _in_subquery(node):
            raise Refused(
                "--where is asked of each row alone; put aggregate and window functions into a subquery."
            )


def _in_subquery(node: Any) -> bool:
    return node.find_ancestor(exp.Query) is not None
