"""CREATE TABLE: what Redshift has beyond PostgreSQL is taken out and remembered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.redshift.columns import Render, column_definition, unquoted
from tests.redshift.lexicon import Token, closing, name_at, starts_with
from tests.redshift.refusal import Refusal, syntax_error


@dataclass
class Definition:
    """What to run instead of a CREATE TABLE, and what to remember; names are as PostgreSQL takes them."""

    table: str
    render: Render
    sql: str = ""
    traits: dict[str, Any] = field(default_factory=dict)
    like: str = ""

    @property
    def said(self) -> str:
        return json.dumps(self.traits)

    def fold(self, token: Token) -> str:
        """Give the identifier that a token writes, in the session's case."""
        return unquoted(self.render([token]))


def is_create_table(tokens: Sequence[Token]) -> bool:
    """Tell CREATE [LOCAL] [TEMP] TABLE from other statements."""
    words = [token.word for token in tokens[:4] if token.word not in {"local", "temp", "temporary"}]
    return words[:2] == ["create", "table"]


def read_create_table(tokens: Sequence[Token], render: Render) -> Definition:
    """Read CREATE TABLE, with or without AS; ``render`` gives tokens as text for PostgreSQL.

    Raises:
        Refusal: it asks for what Redshift's tables do not have.
    """
    position = next(i for i, token in enumerate(tokens) if token.word == "table") + 1
    if starts_with(tokens[position:], "if", "not", "exists"):
        position += 3
    at = name_at(tokens, position).after
    made = Definition(table=render(tokens[position:at]), render=render)
    body, head = "", render(tokens[:at])
    if at < len(tokens) and tokens[at].text == "(":
        end = closing(tokens, at)
        inner = tokens[at + 1 : end]
        rest = _attributes(tokens[end + 1 :], made)
        body = f"({render(inner)})" if rest else _body(inner, made)
    else:
        rest = _attributes(tokens[at:], made)
    if rest and rest[0].word != "as":
        raise syntax_error(rest[0].text)
    made.sql = f"{head} {body} {render(rest)}"
    return made


def _attributes(tokens: Sequence[Token], made: Definition) -> Sequence[Token]:
    """Read BACKUP, DISTSTYLE, DISTKEY and SORTKEY; give what comes after them."""
    at = 0
    while at < len(tokens):
        word = tokens[at].word
        following = tokens[at + 1].word if at + 1 < len(tokens) else ""
        if word == "backup":
            made.traits["backup"] = following == "yes"
            at += 2
        elif word == "diststyle":
            made.traits["diststyle"] = following.upper()
            at += 2
        elif word == "distkey":
            made.traits |= {"diststyle": "KEY", "distkey": made.fold(tokens[at + 2])}
            at = closing(tokens, at + 1) + 1
        elif word == "encode" and following == "auto":
            at += 2
        elif word in {"compound", "interleaved"} and following == "sortkey":
            at = sort_key(tokens, at + 2, made, style=word.upper())
        elif word == "sortkey":
            at = sort_key(tokens, at + 1, made)
        else:
            break
    return tokens[at:]


def sort_key(tokens: Sequence[Token], at: int, made: Definition, *, style: str = "COMPOUND") -> int:
    """Read what follows SORTKEY; give the position after it."""
    if tokens[at].word in {"auto", "none"}:
        made.traits |= {"sortstyle": tokens[at].word.upper(), "sortkeys": []}
        return at + 1
    end = closing(tokens, at)
    keys = [made.fold(token) for token in tokens[at + 1 : end] if token.text != ","]
    made.traits |= {"sortstyle": style, "sortkeys": keys}
    return end + 1


def split_at_commas(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """Cut a list of things at its outer commas."""
    items, depth, start = [], 0, 0
    for position, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            items.append(tokens[start:position])
            start = position + 1
    return [*items, tokens[start:]]


def _body(tokens: Sequence[Token], made: Definition) -> str:
    columns: dict[str, str] = {}
    others: list[str] = []
    keys: list[str] = []
    for item in split_at_commas(tokens):
        words = [token.word for token in item]
        if words[0] == "like":
            made.like = made.render(item[1 : name_at(item, 1).after])
            others.append(made.render(item))
        elif words[0] == "check" or (words[0] == "constraint" and "check" in words):
            raise Refusal("CHECK constraints are not supported")
        elif words[0] in {"primary", "unique", "foreign", "constraint"}:
            if "primary" in words:
                opening = next(i for i, token in enumerate(item) if token.text == "(")
                keys += [made.fold(token) for token in item[opening + 1 : -1] if token.text != ","]
        else:
            columns[made.fold(item[0])] = column_definition(
                item, table=made.table, render=made.render, traits=made.traits
            )
    for key in keys:
        if key in columns and "NOT NULL" not in columns[key]:
            columns[key] += " NOT NULL"
    return f"({', '.join([*columns.values(), *others])})"
