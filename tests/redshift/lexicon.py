"""The text of statements as tokens, by Redshift's rules: a backslash escapes in every string."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKENS = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<string>[eE]?'(?:[^'\\]|''|\\.)*')
      | (?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<parameter>\$\d+)
      | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)
      | (?P<word>[^\W\d][\w$]*)
      | (?P<sign>::|->>|->|\|\||<=|>=|<>|!=|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A piece of a statement that is no blank; ``word`` is lower case, and empty for what is no bare word."""

    kind: str
    text: str
    start: int
    stop: int

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """The identifier that this writes."""
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" else self.text.lower()

    @property
    def value(self) -> str:
        """What the string literal stands for."""
        inner = self.text[self.text.index("'") + 1 : -1].replace("''", "'")
        return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)


def tokens_of(sql: str) -> list[Token]:
    """Give the tokens of some SQL, without blanks and comments."""
    found = []
    for match in _TOKENS.finditer(sql):
        kind = match.lastgroup if match.lastgroup != "tag" else "dollar"
        if kind != "space":
            found.append(Token(kind or "", match.group(), match.start(), match.end()))
    return found


def statements_of(sql: str) -> list[str]:
    """Cut SQL at the semicolons between statements; what is empty is left out."""
    pieces, start, parts = [], 0, tokens_of(sql)
    for token in parts:
        if token.text == ";" and token.kind == "sign":
            pieces.append(sql[start : token.start])
            start = token.stop
    pieces.append(sql[start:])
    return [piece for piece in pieces if tokens_of(piece)]


def starts_with(tokens: Sequence[Token], *words: str) -> bool:
    """Tell whether a statement begins with these words."""
    return len(tokens) >= len(words) and all(t.word == w for t, w in zip(tokens, words, strict=False))


def closing(tokens: Sequence[Token], opening: int) -> int:
    """Give the position of the parenthesis that closes the one at ``opening``."""
    depth = 0
    for position in range(opening, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[position].text, 0)
        if depth == 0:
            return position
    return len(tokens) - 1


@dataclass(frozen=True)
class WrittenName:
    """A table's name as written in a statement, and the position of the token after it."""

    parts: tuple[str, ...]
    after: int

    @property
    def quoted(self) -> str:
        return ".".join('"' + part.replace('"', '""') + '"' for part in self.parts)


def name_at(tokens: Sequence[Token], position: int) -> WrittenName:
    """Read a name, whose parts are separated by dots."""
    parts = [tokens[position].name]
    position += 1
    while position + 1 < len(tokens) and tokens[position].text == ".":
        parts.append(tokens[position + 1].name)
        position += 2
    return WrittenName(tuple(parts), position)
