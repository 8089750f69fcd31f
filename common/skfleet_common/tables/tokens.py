"""SQL from people, scanned: a text that gets through cannot end the parenthesis into which it is put.

The scan knows the database's lexical rules and nothing else. It lets through quoted names, plain strings,
words, numbers and operators, and nothing that could end that parenthesis: no semicolon, comment, dollar
quote, escape string or parenthesis that closes what it did not open. Why it is done so stands in
docs/decisions/where-clause.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from skfleet_common.contracts.errors import Refused

#: Longer ones are programs; they belong into a view.
MAX_CHARACTERS = 10_000

#: Deeper ones would exhaust the parser's stack (ours before the database's).
MAX_DEPTH = 100

#: sqlglot's dialects in which a backslash in a string may be an escape, as in PostgreSQL before 9.1.
BACKSLASHED = frozenset({"redshift"})

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

#: A quote after an odd number of backslashes.
_ESCAPED_QUOTE = re.compile(r"(?<!\\)(?:\\\\)*\\'")

#: What stands for a string or a quoted name when only what is around it matters.
_EMPTY = {"string": "''", "quoted": '""'}


@dataclass(frozen=True)
class Wording:
    """How sentences about a text name it: its option, and what is to be written there."""

    option: str
    #: ``one boolean expression``.
    one: str


@dataclass(frozen=True)
class Token:
    """A word, string, number, bracket or operator, as it was written."""

    kind: str
    text: str
    after_gap: bool


def scan(text: str, wording: Wording, *, backslashes: bool = False) -> list[Token]:
    """Split into tokens, or refuse what the database might read as anything but one expression.

    ``backslashes`` says that the database may take a backslash in a string for an escape; then strings must
    end at the same place whether it does or not.

    Raises:
        Refused: the sentence says what the option must not hold.
    """
    if "\0" in text or _unencodable(text):
        raise Refused(f"{wording.option} holds bytes that are no text; write it in UTF-8.")
    if len(text) > MAX_CHARACTERS:
        raise Refused(f"{wording.option} is longer than {MAX_CHARACTERS} characters; put it into a view.")
    tokens: list[Token] = []
    open_until: list[str] = []
    at, gap = 0, False
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _not_allowed(text, at, wording)
        kind, piece = str(found.lastgroup), found.group()
        at = found.end()
        if kind == "gap":
            gap = bool(tokens)
            continue
        _refuse_token(kind, piece, tokens, wording, backslashes=backslashes)
        if kind == "opening":
            open_until.append(_PAIR[piece])
        elif kind == "closing" and (not open_until or open_until.pop() != piece):
            raise Refused(f"{wording.option} closes a {piece} that it did not open; write {wording.one}.")
        if len(open_until) > MAX_DEPTH:
            raise Refused(f"{wording.option} nests deeper than {MAX_DEPTH} parentheses; put it into a view.")
        tokens.append(Token(kind=kind, text=piece, after_gap=gap))
        gap = False
    if open_until:
        raise Refused(
            f"{wording.option} leaves a parenthesis open (no {open_until[-1]}); write {wording.one}."
        )
    return tokens


def _refuse_token(kind: str, piece: str, before: list[Token], wording: Wording, *, backslashes: bool) -> None:
    if backslashes and kind == "string" and _ESCAPED_QUOTE.search(piece[1:]):
        raise Refused(
            f"{wording.option} has a backslash before a quote, which may escape it; write a quote as ''."
        )
    if kind == "operator" and any(mark in piece for mark in ("--", "/*", "*/")):
        raise Refused(f"{wording.option} holds a comment; leave it out.")
    if kind == "string" and before and before[-1].kind == "string":
        raise Refused(f"{wording.option} has two strings side by side; join them with ||.")
    if kind in {"string", "quoted"} and _PREFIXED_STRING.search(_tail(before) + piece[0]):
        raise Refused(
            f"{wording.option} holds an escape, bit or national string; write a plain one in single quotes."
        )


def _tail(tokens: list[Token]) -> str:
    """Give the last three tokens, as much as a prefix of a string can span, with what is quoted left out."""
    return "".join(
        (" " if token.after_gap else "") + (_EMPTY.get(token.kind) or token.text) for token in tokens[-3:]
    )


def _not_allowed(text: str, at: int, wording: Wording) -> Refused:
    character = text[at]
    if character == ";":
        return Refused(f"{wording.option} holds a semicolon; write {wording.one}, not statements.")
    if character in "'\"":
        return Refused(f"{wording.option} leaves a {character} open; double it inside a string or name.")
    if character in "{}$?":
        return Refused(
            f"{wording.option} holds {character}, but placeholders are not filled in; write the value itself."
        )
    return Refused(f"{wording.option} holds {character!r}, which no expression needs outside quotes.")


def _unencodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def called(tokens: Sequence[Token]) -> list[str]:
    """Give the names that stand before an opening parenthesis."""
    names = []
    for token, following in pairwise(tokens):
        if following.text == "(" and token.kind == "word":
            names.append(token.text.lower())
        elif following.text == "(" and token.kind == "quoted":
            names.append(token.text[1:-1].replace('""', '"'))
    return names


def rebuilt(tokens: Sequence[Token]) -> str:
    """Give the text again, with every gap a single space."""
    return "".join((" " if token.after_gap else "") + token.text for token in tokens)


def operators(tokens: Sequence[Token]) -> frozenset[str]:
    """Give the operators that it uses."""
    return frozenset(token.text for token in tokens if token.kind == "operator")
