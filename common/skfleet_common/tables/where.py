"""``--where``: hostile until proven to be exactly one condition.

A read-only transaction alone does not stop ``true); COMMIT; DROP TABLE t; SELECT (1``. So the text is
read twice, by two parties that share no code:

- *The scan* here knows only the database's lexical rules. It lets through quoted names, plain strings,
  words, numbers and operators, and nothing that could end the parenthesis into which the condition is put:
  no semicolon, comment, dollar quote, escape string or parenthesis that closes what it did not open.
- *sqlglot* parses it as one expression of the dialect, whose every node must be of a kind that reads.

What comes back is built from the scanned tokens, not from sqlglot's tree: its generator normalises, and
changes what some conditions mean (``0x1F`` becomes a bit string, ``a == b`` an equality). Why it is done so
stands in docs/decisions/where-clause.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlglot import exp
from sqlglot.dialects import Dialect
from sqlglot.errors import SqlglotError

from skfleet_common.contracts.errors import Refused

#: Longer conditions are programs; they belong into a view.
MAX_CHARACTERS = 10_000

#: Deeper ones would exhaust the parser's stack (ours before the database's).
MAX_DEPTH = 100

_TOKEN = re.compile(
    r"""
      (?P<gap>[ \t\r\n\f]+)
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<word>[^\W\d]\w*)
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    | (?P<opening>[(\[])
    | (?P<closing>[)\]])
    | (?P<operator>::|[+\-*/<>=~!@\#%^&|]+)
    | (?P<mark>[.,:])
    """,
    re.VERBOSE,
)

_PAIR = {"(": ")", "[": "]"}

#: These make a different string of what follows (``E'\\''``), so that the scan would end it elsewhere.
_PREFIXED_STRING = re.compile(r"(?<![\w\"])(?:[ebxn]'|u&['\"])", re.IGNORECASE)

#: What stands for a string or a quoted name when only what is around it matters.
_EMPTY = {"string": "''", "quoted": '""'}

#: Every chunk asks anew: what the clock says then is not what it said when rows were counted.
_CLOCK_WORDS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
_CLOCK_FUNCTIONS = {"now", "transaction_timestamp", "statement_timestamp"}

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


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    after_gap: bool


def check_condition(text: str, *, dialect: str) -> Condition:
    """Give the condition rebuilt from its tokens, if it is exactly one expression that only reads.

    Whether it is boolean, and over which columns, is for the database to say.

    Raises:
        Refused: the sentence says what --where must not hold.
    """
    if not text.strip():
        raise Refused("--where is empty; leave it out to take all rows.")
    if "\0" in text or _unencodable(text):
        raise Refused("--where holds bytes that are no text; write it in UTF-8.")
    if len(text) > MAX_CHARACTERS:
        raise Refused(f"--where is longer than {MAX_CHARACTERS} characters; put it into a view.")
    tokens = _scan(text)
    rebuilt = "".join((" " if token.after_gap else "") + token.text for token in tokens)
    functions = frozenset(_called(tokens))
    _refuse_clocks(tokens, functions)
    _refuse_nodes(_parse(rebuilt, dialect=dialect))
    return Condition(
        text=rebuilt,
        functions=functions,
        operators=frozenset(token.text for token in tokens if token.kind == "operator"),
    )


def _scan(text: str) -> list[_Token]:
    """Split into tokens, or refuse what the database might read as anything but one expression."""
    tokens: list[_Token] = []
    open_until: list[str] = []
    at, gap = 0, False
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _not_allowed(text, at)
        kind, piece = str(found.lastgroup), found.group()
        at = found.end()
        if kind == "gap":
            gap = bool(tokens)
            continue
        _refuse_token(kind, piece, tokens)
        if kind == "opening":
            open_until.append(_PAIR[piece])
        elif kind == "closing" and (not open_until or open_until.pop() != piece):
            raise Refused(f"--where closes a {piece} that it did not open; write one boolean expression.")
        if len(open_until) > MAX_DEPTH:
            raise Refused(f"--where nests deeper than {MAX_DEPTH} parentheses; put it into a view.")
        tokens.append(_Token(kind=kind, text=piece, after_gap=gap))
        gap = False
    if open_until:
        raise Refused(
            f"--where leaves a parenthesis open (no {open_until[-1]}); write one boolean expression."
        )
    return tokens


def _refuse_token(kind: str, piece: str, before: list[_Token]) -> None:
    if kind == "operator" and any(mark in piece for mark in ("--", "/*", "*/")):
        raise Refused("--where holds a comment; leave it out.")
    if kind == "string" and before and before[-1].kind == "string":
        raise Refused("--where has two strings side by side; join them with ||.")
    if kind in {"string", "quoted"} and _PREFIXED_STRING.search(_tail(before) + piece[0]):
        raise Refused("--where holds an escape, bit or national string; write a plain one in single quotes.")


def _tail(tokens: list[_Token]) -> str:
    """Give the last three tokens, as much as a prefix of a string can span, with what is quoted left out."""
    return "".join(
        (" " if token.after_gap else "") + (_EMPTY.get(token.kind) or token.text) for token in tokens[-3:]
    )


def _refuse_clocks(tokens: list[_Token], functions: frozenset[str]) -> None:
    words = {token.text.lower() for token in tokens if token.kind == "word"}
    for clock in sorted((words & _CLOCK_WORDS) | (functions & _CLOCK_FUNCTIONS)):
        raise Refused(
            f"--where asks for {clock}, which every chunk would answer differently; write the moment itself."
        )


def _not_allowed(text: str, at: int) -> Refused:
    character = text[at]
    if character == ";":
        return Refused("--where holds a semicolon; write one boolean expression, not statements.")
    if character in "'\"":
        return Refused(f"--where leaves a {character} open; double it inside a string or name.")
    if character in "{}$?":
        return Refused(
            f"--where holds {character}, but placeholders are not filled in; write the value itself."
        )
    return Refused(f"--where holds {character!r}, which no expression needs outside quotes.")


def _unencodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _called(tokens: list[_Token]) -> list[str]:
    """Give the names that stand before an opening parenthesis."""
    names = []
    for token, following in pairwise(tokens):
        if following.text == "(" and token.kind == "word":
            names.append(token.text.lower())
        elif following.text == "(" and token.kind == "quoted":
            names.append(token.text[1:-1].replace('""', '"'))
    return names


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
