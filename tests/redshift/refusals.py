"""What Redshift refuses of what PostgreSQL takes: by the words of a statement, before it is forwarded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.redshift.functions import KNOWN, LEADER_ONLY
from tests.redshift.lexicon import Token, closing, starts_with
from tests.redshift.refusal import Refusal, leader_only, syntax_error

#: What may begin a statement (SQL commands).
_VERBS = frozenset(
    [
        "abort",
        "alter",
        "analyze",
        "begin",
        "call",
        "cancel",
        "close",
        "comment",
        "commit",
        "copy",
        "create",
        "deallocate",
        "declare",
        "delete",
        "drop",
        "end",
        "execute",
        "explain",
        "fetch",
        "grant",
        "insert",
        "lock",
        "merge",
        "prepare",
        "refresh",
        "reset",
        "revoke",
        "rollback",
        "select",
        "set",
        "show",
        "start",
        "truncate",
        "unload",
        "update",
        "use",
        "vacuum",
        "with",
    ]
)
_NO_SUCH_OBJECTS = {
    "index",
    "trigger",
    "rule",
    "sequence",
    "type",
    "domain",
    "extension",
    "aggregate",
    "operator",
}
_NO_SUCH_TYPES = frozenset(
    [
        "uuid",
        "json",
        "jsonb",
        "bytea",
        "money",
        "serial",
        "bigserial",
        "smallserial",
        "xml",
        "inet",
        "cidr",
        "macaddr",
        "tsvector",
        "tsquery",
        "hstore",
        "point",
        "box",
        "circle",
        "polygon",
        "regclass_array",
        "int4range",
        "daterange",
        "int8range",
        "numrange",
        "tsrange",
        "bit",
        "varbit",
        "jsonpath",
    ]
)
#: Before these words, a name with a parenthesis is no call.
_NO_CALL_AFTER = {"into", "table", "as", "with", "update", "references", "view", "exists", "join", "on", "copy", "to",
                  "recursive", "key", "unique"}  # fmt: skip
_NO_CALL = frozenset(
    [
        "in",
        "and",
        "or",
        "not",
        "any",
        "all",
        "some",
        "values",
        "using",
        "over",
        "on",
        "as",
        "when",
        "then",
        "else",
        "case",
        "select",
        "from",
        "where",
        "by",
        "having",
        "union",
        "except",
        "intersect",
        "limit",
        "exists",
        "between",
        "like",
        "ilike",
        "similar",
        "escape",
        "filter",
        "within",
        "group",
        "distinct",
        "set",
        "add",
        "column",
        "primary",
        "unique",
        "references",
        "check",
        "key",
        "interval",
        "varchar",
        "char",
        "character",
        "varying",
        "numeric",
        "decimal",
        "nvarchar",
        "nchar",
        "bpchar",
        "float",
        "timestamp",
        "timestamptz",
        "time",
        "timetz",
        "precision",
        "zone",
        "varbyte",
        "varbinary",
        "binary",
        "super",
        "explain",
        "with",
        "top",
        "sortkey",
        "distkey",
        "compound",
        "interleaved",
        "identity",
        "default",
        "table",
        "unload",
        "is",
        "null",
        "isolation",
        "ordinality",
        "rollup",
        "cube",
        "sets",
        "grouping",
        "at",
        "partition",
        "order",
        "rows",
        "return",
        "returns",
        "interval",
        "local",
    ]
)


def refuse_unsupported(sql: str, tokens: Sequence[Token]) -> None:
    """Raise what Redshift says of a statement that it does not take; return for what may go on."""
    if tokens[0].word not in _VERBS and tokens[0].text != "(":
        raise syntax_error(tokens[0].text)
    for check in (_objects, _sessions, _cursors, _types, _queries, _calls):
        check(sql, tokens)


def _objects(sql: str, tokens: Sequence[Token]) -> None:
    words = [token.word for token in tokens[:4]]
    if words[0] in {"create", "drop", "alter"} and (
        words[1] in _NO_SUCH_OBJECTS
        or words[1:3] == ["unique", "index"]
        or words[1:3] == ["constraint", "trigger"]
    ):
        raise Refusal(f'SQL command "{sql.strip()}" not supported on Redshift tables.')
    if starts_with(tokens, "create", "unlogged"):
        raise syntax_error(tokens[1].text)


def _sessions(sql: str, tokens: Sequence[Token]) -> None:
    words = [token.word for token in tokens]
    if words[0] == "rollback" and "to" in words:
        raise Refusal(f'SQL command "{sql.strip()}" not supported on Redshift tables.')
    if words[0] in {"begin", "start", "set"} and "deferrable" in words:
        raise syntax_error("DEFERRABLE")
    if words[0] == "lock" and "mode" in words:
        raise syntax_error("IN")
    if words[0] == "explain" and tokens[1].text == "(":
        raise syntax_error("(")
    if words[0] == "alter" and words[-2:-1] == ["schema"] and "set" in words:
        raise syntax_error("SCHEMA")


def _cursors(sql: str, tokens: Sequence[Token]) -> None:
    words = [token.word for token in tokens]
    if words[0] == "declare":
        options = words[2 : words.index("for")] if "for" in words else words[2:]
        for position, word in enumerate(options):
            negated = position > 0 and options[position - 1] in {"no", "without"}
            if word in {"scroll", "hold", "binary", "insensitive"} and not negated:
                raise Refusal(f"{word.upper()} cursors are not supported", sqlstate="0A000")
    if words[0] == "fetch":
        if words[1] not in {"next", "all", "forward"} or tokens[2].text == "-":
            raise Refusal(
                "cursor can only scan forward", sqlstate="55000", hint="Only FETCH FORWARD is supported."
            )


def _types(sql: str, tokens: Sequence[Token]) -> None:
    for before, token in zip(tokens, tokens[1:], strict=False):
        if token.word in _NO_SUCH_TYPES and (before.text == "::" or before.word == "as"):
            raise Refusal(f'type "{token.word}" does not exist', sqlstate="42704")
        if token.text == "[":
            raise leader_only()


_FORBIDDEN_PHRASES: tuple[tuple[tuple[str, ...], Callable[[], Refusal]], ...] = (
    (("on", "conflict"), lambda: syntax_error("CONFLICT")),
    (("returning",), lambda: syntax_error("RETURNING")),
    (("distinct", "on"), lambda: Refusal("SELECT DISTINCT ON is not supported")),
    (("filter", "("), lambda: syntax_error("(")),
    (("as", "materialized"), lambda: syntax_error("MATERIALIZED")),
    (("as", "not", "materialized"), lambda: syntax_error("NOT")),
    (("tablesample",), lambda: syntax_error("TABLESAMPLE")),
    (("lateral",), lambda: syntax_error("LATERAL")),
    (("for", "update"), lambda: Refusal("SELECT FOR UPDATE/SHARE is not supported")),
    (("for", "share"), lambda: Refusal("SELECT FOR UPDATE/SHARE is not supported")),
    (("for", "no", "key"), lambda: syntax_error("NO")),
    (("distinct", "from"), lambda: syntax_error("DISTINCT")),
    (("(", "values"), lambda: syntax_error("VALUES")),
    (("with", "ordinality"), lambda: syntax_error("ORDINALITY")),
    (("concurrently",), lambda: syntax_error("CONCURRENTLY")),
    (("overriding",), lambda: syntax_error("OVERRIDING")),
    (("by", "source"), lambda: syntax_error("BY")),
    (("do", "nothing"), lambda: syntax_error("DO")),
    (("~", "*"), lambda: syntax_error("*")),
    (("as", "(", "insert"), lambda: syntax_error("INSERT")),
    (("as", "(", "update"), lambda: syntax_error("UPDATE")),
    (("as", "(", "delete"), lambda: syntax_error("DELETE")),
)


def _queries(sql: str, tokens: Sequence[Token]) -> None:
    keys = [token.word or token.text for token in tokens]
    for phrase, refusal in _FORBIDDEN_PHRASES:
        size = len(phrase)
        for position in range(len(keys) - size + 1):
            if tuple(keys[position : position + size]) == phrase and keys[position - 1 : position] != ["."]:
                raise refusal()
    for position, key in enumerate(keys[:-2]):
        if (
            key in {"any", "all"}
            and keys[position + 1] == "("
            and keys[position + 2] not in {"select", "with"}
        ):
            raise leader_only()
        if key == "fetch" and position and keys[position + 1] in {"first", "next"}:
            raise syntax_error("FETCH")
        if key == "matched" and keys[position + 1] == "and":
            raise syntax_error("AND")
    if any(token.kind == "dollar" for token in tokens) and not {"function", "procedure"} & set(keys):
        raise syntax_error("$")


def _calls(sql: str, tokens: Sequence[Token]) -> None:
    called = set()
    for position, token in enumerate(tokens[:-1]):
        if tokens[position + 1].text != "(" or not token.word or token.word in _NO_CALL:
            continue
        before = tokens[position - 1] if position else None
        after = closing(tokens, position + 1) + 1
        is_definition = after < len(tokens) and tokens[after].word == "as" and _is_cte(tokens, position)
        is_qualified = before is not None and before.text == "."
        if is_qualified and tokens[position - 2].word != "pg_catalog":
            continue
        if is_definition or (before is not None and (before.word in _NO_CALL_AFTER or before.text == ")")):
            continue
        if before is not None and (before.kind in {"quoted"} or _is_alias(tokens, position)):
            continue
        called.add(token.word)
    for name in sorted(called - KNOWN):
        raise Refusal(
            f"function {name}() does not exist",
            sqlstate="42883",
            hint="No function matches the given name and argument types. You may need to add explicit type casts.",
        )
    if called & LEADER_ONLY and (tokens[0].word != "select" or _reads_tables(tokens)):
        raise leader_only()


def _is_cte(tokens: Sequence[Token], position: int) -> bool:
    return position > 0 and (
        tokens[position - 1].word in {"with", "recursive"} or tokens[position - 1].text == ","
    )


def _is_alias(tokens: Sequence[Token], position: int) -> bool:
    """Tell ``FROM t alias (columns)`` from a call: two names in a row, the first no keyword."""
    before = tokens[position - 1]
    return bool(before.word) and before.word not in _NO_CALL | {
        "select",
        "distinct",
        "then",
        "return",
        "set",
        "approximate",
    }


def _reads_tables(tokens: Sequence[Token]) -> bool:
    for position, token in enumerate(tokens[:-1]):
        if token.word in {"from", "join"}:
            after = tokens[position + 1]
            if after.text != "(" and after.word not in LEADER_ONLY and not after.word.startswith("pg_"):
                return True
    return False
