"""Names of tables as people write them: ``schema.name``, where a part in double quotes is taken as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skfleet_common.contracts.errors import Refused

#: What SQL takes without quotes, and folds to lower case.
_PLAIN = re.compile(r"[^\W\d]\w*")

_PART = re.compile(r'"(?P<quoted>(?:[^"]|"")+)"|(?P<bare>[^."]+)')


@dataclass(frozen=True)
class NameLimit:
    """How long a name may be, and in which warehouse."""

    warehouse: str
    most_bytes: int


@dataclass(frozen=True)
class NamePart:
    """One part of a name: as written, without its quotes."""

    text: str
    quoted: bool

    @property
    def spellings(self) -> list[str]:
        """What the part may be called in the catalogue, the likeliest first."""
        if self.quoted or self.text == self.text.lower():
            return [self.text]
        return [self.text, self.text.lower()]

    @property
    def spelling_if_new(self) -> str:
        """What something new is called: folded where SQL would fold it, else as written."""
        if not self.quoted and _PLAIN.fullmatch(self.text):
            return self.text.lower()
        return self.text


@dataclass(frozen=True)
class WrittenName:
    """A table's name as a person wrote it; the schema may be left out."""

    schema: NamePart | None
    name: NamePart

    def __str__(self) -> str:
        """Give it for messages to people, without quotes."""
        return f"{self.schema.text}.{self.name.text}" if self.schema else self.name.text


def read_name(text: str, limit: NameLimit) -> WrittenName:
    """Read ``schema.name`` or ``name``.

    Raises:
        Refused: it is neither.
    """
    parts: list[NamePart] = []
    rest = text.strip()
    while True:
        found = _PART.match(rest)
        if found is None or "\0" in rest:
            raise _unreadable(text)
        quoted = found["quoted"]
        part = found["bare"].strip() if quoted is None else quoted.replace('""', '"')
        if not part:
            raise _unreadable(text)
        if len(part.encode()) > limit.most_bytes:
            raise Refused(
                f"The name {part} is longer than the {limit.most_bytes} bytes that {limit.warehouse} allows."
            )
        parts.append(NamePart(text=part, quoted=quoted is not None))
        rest = rest[found.end() :]
        if not rest:
            break
        if not rest.startswith("."):
            raise _unreadable(text)
        rest = rest[1:]
    if len(parts) > 2:  # noqa: PLR2004  (schema and name)
        raise _unreadable(text)
    return WrittenName(schema=parts[0] if len(parts) > 1 else None, name=parts[-1])


def _unreadable(text: str) -> Refused:
    return Refused(
        f"{text!r} is no table name; write schema.name, with a part that holds dots or quotes "
        'in double quotes (public."odd.name").'
    )
