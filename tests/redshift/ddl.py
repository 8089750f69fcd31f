"""CREATE TABLE and ALTER TABLE: what Redshift has beyond PostgreSQL is taken out and remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.redshift.lexicon import Token, WrittenName, closing, name_at, starts_with
from tests.redshift.refusal import Refusal, syntax_error, unsupported_column

_DEFAULT_DIMENSIONS = {
    "text": "varchar(256)", "varchar": "varchar(256)", "nvarchar": "varchar(256)", "character varying": "varchar(256)",
    "char": "char(1)", "character": "char(1)", "nchar": "char(1)", "bpchar": "char(256)",
    "numeric": "numeric(18,0)", "decimal": "numeric(18,0)",
}  # fmt: skip
_RENAMED = {"nvarchar": "varchar", "nchar": "char", "bpchar": "char"}
_WITHOUT_DIMENSIONS = {"varbyte": "varbyte", "varbinary": "varbyte", "binary varying": "varbyte"}
_TYPES = frozenset(
    ["smallint", "int2", "integer", "int", "int4", "bigint", "int8", "real", "float4", "float", "float8", "boolean", "bool", "date", "timestamp", "timestamptz", "time", "timetz", "super", "hllsketch", "geometry", "geography", "interval"]
) | {"double precision", "timestamp with time zone", "timestamp without time zone", "time with time zone",
     "time without time zone"} | set(_DEFAULT_DIMENSIONS) | set(_WITHOUT_DIMENSIONS)  # fmt: skip
_TYPE_WORDS = {
    "varying",
    "precision",
    "with",
    "without",
    "time",
    "zone",
    "year",
    "to",
    "month",
    "day",
    "second",
}


@dataclass
class Definition:
    """What to run instead of a CREATE TABLE, and what to remember of the table."""

    table: WrittenName
    sql: str
    traits: dict[str, Any] = field(default_factory=dict)
    like: WrittenName | None = None

    @property
    def said(self) -> str:
        return json.dumps(self.traits)


def is_create_table(tokens: Sequence[Token]) -> bool:
    """Tell CREATE [LOCAL] [TEMP] TABLE from other statements."""
    words = [token.word for token in tokens[:4] if token.word not in {"local", "temp", "temporary"}]
    return words[:2] == ["create", "table"]


def read_create_table(tokens: Sequence[Token], render: Callable[[Sequence[Token]], str]) -> Definition:
    """Read CREATE TABLE, with or without AS; ``render`` gives tokens as text for PostgreSQL."""
    position = next(i for i, token in enumerate(tokens) if token.word == "table") + 1
    if starts_with(tokens[position:], "if", "not", "exists"):
        position += 3
    table = name_at(tokens, position)
    made = Definition(table=table, sql="")
    at, body = table.after, ""
    if at < len(tokens) and tokens[at].text == "(":
        end = closing(tokens, at)
        inner = tokens[at + 1 : end]
        rest = _attributes(tokens[end + 1 :], made)
        body = f"({render(inner)})" if rest else _body(inner, made, render)
    else:
        rest = _attributes(tokens[at:], made)
    if rest and rest[0].word != "as":
        raise syntax_error(rest[0].text)
    made.sql = f"{render(tokens[:at])} {body} {render(rest)}"
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
            end = closing(tokens, at + 1)
            made.traits |= {"diststyle": "KEY", "distkey": tokens[at + 2].name.lower()}
            at = end + 1
        elif word == "encode" and following == "auto":
            at += 2
        elif word in {"compound", "interleaved"} and following == "sortkey":
            made.traits["sortstyle"] = word.upper()
            at += 1
        elif word == "sortkey":
            at = _sort_key(tokens, at + 1, made.traits)
        else:
            break
    return tokens[at:]


def _sort_key(tokens: Sequence[Token], at: int, traits: dict[str, Any]) -> int:
    if tokens[at].word in {"auto", "none"}:
        traits |= {"sortstyle": tokens[at].word.upper(), "sortkeys": []}
        return at + 1
    end = closing(tokens, at)
    keys = [token.name.lower() for token in tokens[at + 1 : end] if token.text != ","]
    traits |= {"sortstyle": traits.get("sortstyle", "COMPOUND"), "sortkeys": keys}
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


def _body(tokens: Sequence[Token], made: Definition, render: Callable[[Sequence[Token]], str]) -> str:
    columns: dict[str, str] = {}
    others: list[str] = []
    keys: list[str] = []
    for item in split_at_commas(tokens):
        words = [token.word for token in item]
        if words[0] == "like":
            made.like = name_at(item, 1)
            others.append(render(item))
        elif words[0] in {"primary", "unique", "foreign", "constraint"} and item[1].kind == "word":
            _refuse_checks(words)
            if "primary" in words:
                opening = next(i for i, token in enumerate(item) if token.text == "(")
                keys += [token.name for token in item[opening + 1 : -1] if token.text != ","]
        elif words[0] == "check":
            _refuse_checks(words)
        else:
            columns[item[0].name] = column_definition(item, made, render)
    for key in keys:
        if key in columns and "NOT NULL" not in columns[key]:
            columns[key] += " NOT NULL"
    return f"({', '.join([*columns.values(), *others])})"


def _refuse_checks(words: Sequence[str]) -> None:
    if "check" in words or "exclude" in words:
        raise Refusal("CHECK constraints are not supported")


def column_definition(
    item: Sequence[Token], made: Definition, render: Callable[[Sequence[Token]], str]
) -> str:
    """Give a column's definition without what PostgreSQL does not know; nothing but NOT NULL is enforced."""
    column = item[0].name.lower()
    kind, at = column_type(item, 1, ".".join(made.table.parts), column)
    kept = ""
    required = False
    while at < len(item):
        word = item[at].word
        following = item[at + 1].word if at + 1 < len(item) else ""
        if word == "encode":
            made.traits.setdefault("encodings", {})[column] = following
            at += 2
        elif word == "distkey":
            made.traits |= {"diststyle": "KEY", "distkey": column}
            at += 1
        elif word == "sortkey":
            made.traits |= {"sortstyle": "COMPOUND", "sortkeys": [column]}
            at += 1
        elif word == "collate":
            at += 2
        elif word in {"primary", "unique"}:
            required |= word == "primary"
            at += 2 if word == "primary" else 1
        elif word == "references":
            at = name_at(item, at + 1).after
            at = closing(item, at) + 1 if at < len(item) and item[at].text == "(" else at
        elif word == "not" and following == "null":
            required = True
            at += 2
        elif word == "identity" or (
            word == "generated" and "identity" in [token.word for token in item[at:]]
        ):
            opening = next(i for i in range(at, len(item)) if item[i].text == "(")
            kept += f" GENERATED BY DEFAULT AS IDENTITY (START WITH {item[opening + 1].text} INCREMENT BY {item[opening + 3].text})"
            at = closing(item, opening) + 1
        elif word == "check":
            _refuse_checks([word])
        else:
            kept += " " + render(item[at : at + 1])
            at += 1
    return f"{render(item[:1])} {kind}{kept}{' NOT NULL' if required else ''}"


def column_type(item: Sequence[Token], at: int, table: str, column: str) -> tuple[str, int]:
    """Read a type; give it as PostgreSQL spells it, with Redshift's default dimensions, and what follows."""
    words = [item[at].word or item[at].text]
    at += 1
    dimensions = ""
    while at < len(item) and (item[at].word in _TYPE_WORDS or item[at].text == "("):
        if item[at].text == "(":
            end = closing(item, at)
            dimensions = "".join(token.text for token in item[at : end + 1]).lower().replace("max", "65535")
            at = end + 1
        else:
            words.append(item[at].word)
            at += 1
    name = " ".join(words)
    is_array = at < len(item) and item[at].text == "["
    if is_array or name not in _TYPES:
        raise unsupported_column(table, column, name + "[]" * is_array)
    if name in _WITHOUT_DIMENSIONS:
        return _WITHOUT_DIMENSIONS[name], at
    if not dimensions or name == "text":
        return _DEFAULT_DIMENSIONS.get(name, name), at
    sizes = [int(part) for part in dimensions.strip("()").split(",")]
    if "char" in name and sizes[0] > (4096 if name in {"char", "character", "nchar"} else 65535):
        raise Refusal(f"length for type {name} is too long", sqlstate="22023")
    if name in {"numeric", "decimal"} and not 1 <= sizes[0] <= 38:
        raise Refusal(f"DECIMAL precision {sizes[0]} must be between 1 and 38", sqlstate="22023")
    return f"{_RENAMED.get(name, name)}{dimensions}", at
