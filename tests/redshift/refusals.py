"""What Redshift refuses of what PostgreSQL takes: by the words of a statement, before it is forwarded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from tests.redshift.lexicon import Token, closing, starts_with
from tests.redshift.refusal import Refusal, leader_only, syntax_error
from tests.redshift.vocabulary import words

_COMMANDS = words("commands")
_NO_SUCH_OBJECTS = words("objects")
_NO_SUCH_TYPES = words("types")
_LEADER_ONLY = words("functions of the leader node")
_FUNCTIONS = words("functions that there are") | _LEADER_ONLY
_NO_CALL = words("keywords that may")
_NO_CALL_AFTER = words("keywords after which")
_NO_ALIAS_AFTER = _NO_CALL | {"approximate"}


def _syntax_error(near: str) -> Callable[[], Refusal]:
    return lambda: syntax_error(near)


def _not_supported(what: str) -> Callable[[], Refusal]:
    return lambda: Refusal(f"{what} is not supported")


_FORBIDDEN_PHRASES = {
    "on conflict": _syntax_error("CONFLICT"),
    "returning": _syntax_error("RETURNING"),
    "distinct on": _not_supported("SELECT DISTINCT ON"),
    "filter (": _syntax_error("("),
    "as materialized": _syntax_error("MATERIALIZED"),
    "as not materialized": _syntax_error("NOT"),
    "tablesample": _syntax_error("TABLESAMPLE"),
    "lateral": _syntax_error("LATERAL"),
    "for update": _not_supported("SELECT FOR UPDATE/SHARE"),
    "for share": _not_supported("SELECT FOR UPDATE/SHARE"),
    "for no key": _syntax_error("NO"),
    "for key share": _syntax_error("KEY"),
    "distinct from": _syntax_error("DISTINCT"),
    "( values": _syntax_error("VALUES"),
    "with ordinality": _syntax_error("ORDINALITY"),
    "concurrently": _syntax_error("CONCURRENTLY"),
    "overriding": _syntax_error("OVERRIDING"),
    "by source": _syntax_error("BY"),
    "do nothing": _syntax_error("DO"),
    "matched and": _syntax_error("AND"),
    "~ *": _syntax_error("*"),
    "as ( insert": _syntax_error("INSERT"),
    "as ( update": _syntax_error("UPDATE"),
    "as ( delete": _syntax_error("DELETE"),
}


def refuse_unsupported(sql: str, tokens: Sequence[Token]) -> None:
    """Return for a statement that may go on.

    Raises:
        Refusal: Redshift does not take it.
    """
    if tokens[0].word not in _COMMANDS and tokens[0].text != "(":
        raise syntax_error(tokens[0].text)
    keys = [token.word or token.text for token in tokens]
    _refuse_commands(sql, tokens, keys)
    _refuse_cursors(keys)
    _refuse_types(tokens)
    _refuse_phrases(tokens, keys)
    _refuse_calls(tokens)


def _refuse_commands(sql: str, tokens: Sequence[Token], keys: Sequence[str]) -> None:
    unsupported = keys[0] in {"create", "drop", "alter"} and (
        keys[1] in _NO_SUCH_OBJECTS or keys[1:3] in (["unique", "index"], ["constraint", "trigger"])
    )
    if unsupported or (keys[0] == "rollback" and "to" in keys):
        raise Refusal(f'SQL command "{sql.strip()}" not supported on Redshift tables.')
    if starts_with(tokens, "create", "unlogged"):
        raise syntax_error(tokens[1].text)
    if keys[0] in {"begin", "start", "set"} and "deferrable" in keys:
        raise syntax_error("DEFERRABLE")
    if keys[0] == "lock" and "mode" in keys:
        raise syntax_error("IN")
    if keys[:2] == ["explain", "("]:
        raise syntax_error("(")


def _refuse_cursors(keys: Sequence[str]) -> None:
    if keys[0] == "declare":
        options = keys[2 : keys.index("for")] if "for" in keys else keys[2:]
        for before, word in pairwise(["", *options]):
            if word in {"scroll", "hold", "binary", "insensitive"} and before not in {"no", "without"}:
                raise Refusal(f"{word.upper()} cursors are not supported")
    if keys[0] == "fetch" and (keys[1] not in {"next", "all", "forward"} or "-" in keys):
        raise Refusal(
            "cursor can only scan forward", sqlstate="55000", hint="Only FETCH FORWARD is supported."
        )


def _refuse_types(tokens: Sequence[Token]) -> None:
    defines_columns = starts_with(tokens, "create", "table")  # whose types are looked at by name
    for before, token in pairwise(tokens):
        if token.word in _NO_SUCH_TYPES and (before.text == "::" or before.word == "as"):
            raise Refusal(f'type "{token.word}" does not exist', sqlstate="42704")
        if token.text == "[" and not defines_columns:
            raise leader_only()


def _refuse_phrases(tokens: Sequence[Token], keys: Sequence[str]) -> None:
    for written, refusal in _FORBIDDEN_PHRASES.items():
        phrase = written.split()
        for position in range(len(keys) - len(phrase) + 1):
            if list(keys[position : position + len(phrase)]) == phrase and keys[position - 1 : position] != [
                "."
            ]:
                raise refusal()
    for position, (key, following, inner) in enumerate(zip(keys, keys[1:], keys[2:], strict=False)):
        if key in {"any", "all"} and following == "(" and inner not in {"select", "with"}:
            raise leader_only()
        if key == "fetch" and position and following in {"first", "next"}:
            raise syntax_error("FETCH")
    if any(token.kind == "dollar" for token in tokens) and not {"function", "procedure"} & set(keys):
        raise syntax_error("$")


def _refuse_calls(tokens: Sequence[Token]) -> None:
    called = {token.word for position, token in enumerate(tokens) if _is_call(tokens, position)}
    for name in sorted(called - _FUNCTIONS):
        raise Refusal(
            f"function {name}() does not exist",
            sqlstate="42883",
            hint="No function matches the given name and argument types. "
            "You may need to add explicit type casts.",
        )
    if called & _LEADER_ONLY and (tokens[0].word != "select" or _reads_tables(tokens)):
        raise leader_only()


def _is_call(tokens: Sequence[Token], position: int) -> bool:
    """Tell ``name (`` of a function from a table's or alias's columns, a type's dimensions and keywords."""
    token = tokens[position]
    opens = position + 1 < len(tokens) and tokens[position + 1].text == "("
    if not opens or not token.word or token.word in _NO_CALL:
        return False
    if position == 0:
        return True
    before = tokens[position - 1]
    if before.text == ".":
        return tokens[position - 2].word == "pg_catalog"
    after = closing(tokens, position + 1) + 1
    if (
        after < len(tokens)
        and tokens[after].word == "as"
        and before.text == ","
        and _opens_query(tokens, after + 1)
    ):
        return False  # another common table expression
    is_alias = before.kind == "quoted" or (bool(before.word) and before.word not in _NO_ALIAS_AFTER)
    return before.word not in _NO_CALL_AFTER and before.text != ")" and not is_alias


def _opens_query(tokens: Sequence[Token], position: int) -> bool:
    return [token.word or token.text for token in tokens[position : position + 2]] in (
        ["(", "select"],
        ["(", "with"],
    )


def _reads_tables(tokens: Sequence[Token]) -> bool:
    sources = [
        after for token, after in pairwise(tokens) if token.word in {"from", "join"} and after.text != "("
    ]
    return any(it.word not in _LEADER_ONLY and not it.word.startswith("pg_") for it in sources)
