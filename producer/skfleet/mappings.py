"""Mappings as options: ``NAME=VALUE``, a JSON object, or a YAML or JSON file behind ``@``; any may repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from skfleet_common.contracts.errors import UsageError, shown

Given = str | Sequence[str] | Mapping[str, Any]


def read_mapping(given: Given | None, *, flag: str) -> dict[str, Any]:
    """Give what an option's words say, a later one before an earlier one of the same name.

    A value is read as YAML has it: ``3`` is a number, ``true`` a boolean, ``[1, 2]`` a list, and what is
    none of these is text.

    Raises:
        UsageError: the words are none of that, or a file cannot be read.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    found: dict[str, Any] = {}
    for words in [given] if isinstance(given, str) else given:
        found |= _read(words.strip(), flag=flag)
    return found


def _read(words: str, *, flag: str) -> dict[str, Any]:
    if words.startswith("@"):
        return _of_file(Path(words[1:]), flag=flag)
    if words.startswith("{"):
        return _parsed(words, what=flag)
    name, separator, value = words.partition("=")
    if not separator or not name.strip():
        if Path(words).is_file():
            return _of_file(Path(words), flag=flag)
        raise UsageError(
            f"{flag} {shown(words)} is neither NAME=VALUE nor a JSON object nor @FILE; write it as one."
        )
    return {name.strip(): _value(value)}


def _of_file(path: Path, *, flag: str) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise UsageError(f"{shown(str(path))}, which {flag} names, cannot be read: {reason}.") from exc
    return _parsed(text, what=shown(str(path)))


def _parsed(text: str, *, what: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}"
        raise UsageError(f"{what} is no YAML or JSON{where}; correct it.") from exc
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UsageError(f"{what} must hold an object of names and values; write it as one.")
    return dict(found)


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
