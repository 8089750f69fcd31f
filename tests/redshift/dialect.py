"""Statements of Redshift's dialect as what is to be done with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.redshift.ddl import Definition, is_create_table, read_create_table
from tests.redshift.lexicon import Token, closing, starts_with, tokens_of
from tests.redshift.parameters import setting_statement
from tests.redshift.refusal import Refusal, syntax_error
from tests.redshift.refusals import refuse_unsupported

#: The catalogue's tables that are shown as 8.0 has them.
_OLD_CATALOGUE = {"pg_class", "pg_attribute"}
_ISOLATION = re.compile(
    r"isolation\s+level\s+(serializable|read\s+committed|read\s+uncommitted|repeatable\s+read|snapshot)",
    re.IGNORECASE,
)
#: Identifiers have at most 127 bytes (Names and identifiers); the backend's at most 63.
_LONGEST_NAME, _LONGEST_NAME_HERE = 127, 63


@dataclass(frozen=True)
class Forwarded:
    """Goes to the backend, as ``sql``."""

    sql: str
    verb: str = ""
    cursor: str = ""


@dataclass(frozen=True)
class Performed:
    """Is carried out here, on the backend's session; ``kind`` names it, and is the command's tag."""

    kind: str
    tokens: Sequence[Token]
    sql: str
    definition: Definition | None = None


@dataclass
class Dialect:
    """How a session reads statements; quoted capitals count only once it says so."""

    case_sensitive: bool = field(default=False)

    def read(self, sql: str) -> Forwarded | Performed:
        """Tell what to do with one statement.

        Raises:
            Refusal: Redshift would refuse it.
        """
        tokens = tokens_of(sql)
        try:
            return self._read(sql, tokens) if tokens else Forwarded(sql)
        except (IndexError, ValueError, StopIteration) as exc:
            raise Refusal("syntax error at end of input", sqlstate="42601") from exc

    def _read(self, sql: str, tokens: Sequence[Token]) -> Forwarded | Performed:
        verb = tokens[0].word
        if verb == "copy":
            _refuse_copy(tokens)
        elif verb != "unload":
            refuse_unsupported(sql, tokens)
        _check_names(tokens)
        setting = setting_statement(tokens, sql)
        if setting is not None:
            self._notice(tokens)
            return Forwarded(setting, verb)
        if starts_with(tokens, "create", "schema"):
            words = [token.word for token in tokens]
            tokens = tokens[: words.index("quota")] if "quota" in words else tokens
        kind = _performed_kind(tokens)
        if is_create_table(tokens):
            definition = read_create_table(tokens, lambda part: self.render(sql, part))
            return Performed("CREATE TABLE", tokens, sql, definition)
        if kind:
            return Performed(kind, tokens, sql)
        text = _ISOLATION.sub("ISOLATION LEVEL REPEATABLE READ", self.render(sql, tokens))
        return Forwarded(text, verb, tokens[1].name if verb == "declare" else "")

    def render(self, sql: str, tokens: Sequence[Token]) -> str:
        """Give the text of some tokens as PostgreSQL is to read it."""
        if not tokens:
            return ""
        edits: dict[tuple[int, int], str] = {}
        for position, token in enumerate(tokens):
            before = tokens[position - 1] if position else None
            after = tokens[position + 1] if position + 1 < len(tokens) else None
            written = self._written(token, before, after)
            if token.word in {"varchar", "varying"} and after is not None and after.text == "(":
                inner = tokens[position + 2]
                if inner.word == "max":
                    edits[inner.start, inner.stop] = "65535"
            if token.word == "within" and after is not None and after.word == "group":
                _into_aggregate(tokens, position, edits)
            if token.word in _OLD_CATALOGUE and before is not None and before.text == ".":
                edits[tokens[position - 2].start, token.stop] = f"redshift.{token.word}"
            elif written != token.text:
                edits[token.start, token.stop] = written
        text, stop = [], tokens[0].start
        for (start, end), written in sorted(edits.items()):
            if start >= stop:
                text += [sql[stop:start], written]
                stop = end
        return "".join([*text, sql[stop : tokens[-1].stop]])

    def _written(self, token: Token, before: Token | None, after: Token | None) -> str:
        if token.kind == "quoted" and not self.case_sensitive:
            return re.sub("[A-Z]+", lambda match: match.group().lower(), token.text)
        if before is not None and before.text == ".":
            return token.text
        if token.word == "version" and after is not None and after.text == "(":
            return "redshift.version"
        if token.word == "sysdate":
            return "getdate()"
        if token.word == "approximate" and after is not None and after.word in {"count", "percentile_disc"}:
            return ""
        return f"redshift.{token.word}" if token.word in _OLD_CATALOGUE else token.text

    def _notice(self, tokens: Sequence[Token]) -> None:
        names = [token.word for token in tokens]
        if "enable_case_sensitive_identifier" in names:
            self.case_sensitive = tokens[-1].text.strip("'").lower() in {"on", "true", "1"}


_PERFORMED = {
    "copy": "COPY",
    "unload": "UNLOAD",
    "truncate": "TRUNCATE TABLE",
    "analyze": "ANALYZE",
    "vacuum": "VACUUM",
}


def _performed_kind(tokens: Sequence[Token]) -> str:
    """Name what is carried out here; empty for what is forwarded."""
    if starts_with(tokens, "alter", "table"):
        return "ALTER TABLE"
    if [token.word for token in tokens[-4:]] == ["with", "no", "schema", "binding"]:
        return "CREATE VIEW"
    return _PERFORMED.get(tokens[0].word, "")


def _refuse_copy(tokens: Sequence[Token]) -> None:
    words = [token.word for token in tokens]
    if tokens[1].text == "(":
        raise syntax_error("(")
    if "from" not in words:
        raise syntax_error("to")
    if words[words.index("from") + 1] in {"stdin", "program"}:
        raise Refusal(
            "LOAD source is not supported. (Hint: only S3 or DynamoDB or EMR based load is allowed)"
        )


def _check_names(tokens: Sequence[Token]) -> None:
    for token in tokens:
        size = len(token.name.encode()) if token.kind in {"quoted", "word"} else 0
        if size > _LONGEST_NAME:
            raise Refusal(f'identifier "{token.name}" is too long', sqlstate="42622")
        if size > _LONGEST_NAME_HERE:
            raise Refusal(f'the test server keeps names of 63 bytes at most, not "{token.name}"')


def _into_aggregate(tokens: Sequence[Token], position: int, edits: dict[tuple[int, int], str]) -> None:
    """Write ``listagg(a, b) WITHIN GROUP (ORDER BY c)`` as an aggregate with an order."""
    depth, opening = 0, position - 1
    for opening in range(position - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(tokens[opening].text, 0)
        if depth == 0:
            break
    if tokens[opening - 1].word == "listagg":
        edits[tokens[position - 1].start, tokens[position + 2].stop] = " "
        assert closing(tokens, position + 2) < len(tokens)
