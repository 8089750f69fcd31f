"""The features file: YAML in which a user says what single columns are to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from skfleet_common.contracts.errors import UsageError, nearest, shown
from skfleet_common.model.feature_choices import ColumnChoices, Defaults, FeatureChoices

#: Ten thousand columns with everything said of each.
MAX_BYTES = 4_000_000

#: Twice what anything that can be asked needs.
MAX_DEPTH = 10

_TOP = sorted(FeatureChoices.model_fields)

#: What pydantic says of types that people who write YAML do not know.
_SPOKEN = {
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
}

Where = tuple[str | int, ...]


def read_features(given: str | Path | Mapping[str, Any]) -> FeatureChoices:
    """Give the choices of a features file, or of a mapping that says the same.

    Raises:
        UsageError: the file cannot be read, or says what no column can be.
    """
    if isinstance(given, Mapping):
        return _checked(given, lines={}, source="features")
    path = Path(given)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES:,} bytes; name the file of feature choices.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise UsageError(
            f"The features file {path} cannot be read ({exc.strerror}); correct --features."
        ) from exc
    except UnicodeDecodeError as exc:
        raise UsageError(f"The features file {path} is not UTF-8 text; save it as UTF-8.") from exc
    return parse_features(text, source=str(path))


def parse_features(text: str, *, source: str) -> FeatureChoices:
    """Give the choices that YAML text holds; ``source`` is what sentences call it.

    Raises:
        UsageError: it is no YAML, or says what no column can be.
    """
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            # PyYAML takes ever longer for each bracket within brackets.
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise UsageError(f"{source} goes more than {MAX_DEPTH} levels deep; see docs/features.md.")
            if isinstance(event, yaml.AliasEvent):
                line = "" if event.start_mark is None else f", line {event.start_mark.line + 1}"
                raise UsageError(f"{source}{line}: anchors are not read; write it out.")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Where, int] = {}
        plain = {} if root is None else _plain(root, (), lines, source, yaml.SafeLoader(""))
    except yaml.MarkedYAMLError as exc:
        mark: yaml.Mark | None = exc.problem_mark or exc.context_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        raise UsageError(
            f"{source}{line} is no YAML that can be read: {shown(exc.problem or 'it is broken')}."
        ) from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise UsageError(f"{source} is no YAML that can be read; correct it.") from exc
    if not isinstance(plain, dict):
        raise UsageError(f"{source} must be a mapping with {' and '.join(_TOP)}, not a list or a value.")
    return _checked(plain, lines=lines, source=source)


def _plain(
    node: yaml.Node, where: Where, lines: dict[Where, int], source: str, scalars: yaml.SafeLoader
) -> Any:
    """Give a node as plain values, and note the line of each.

    Keys are text as it is written: a column may be called ``no``, ``1`` or ``2024-01-01``.
    """
    lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(part, (*where, at), lines, source, scalars) for at, part in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return scalars.construct_object(node)
    plain: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"{source}, line {line}: a name must be text; put it in quotes.")
        if key.value in plain:
            raise UsageError(f"{source}, line {line}: {shown(key.value)!r} is there twice; leave one out.")
        lines[(*where, key.value)] = line
        plain[key.value] = _plain(value, (*where, key.value), lines, source, scalars)
    return plain


def _checked(given: Mapping[str, Any], *, lines: Mapping[Where, int], source: str) -> FeatureChoices:
    try:
        return FeatureChoices.model_validate(_without_empty(given))
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_context=True)[0]
    where: Where = tuple(part for part in problem["loc"] if part in _parts_of(given, problem["loc"]))
    line = next((lines[where[:end]] for end in range(len(where), -1, -1) if where[:end] in lines), None)
    place = source if line is None else f"{source}, line {line}"
    raise UsageError(f"{place}: {_sentence(where, problem)}")


def _without_empty(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take ``columns:`` and ``carrier:`` with nothing behind them for nothing asked."""
    plain = {name: {} if part is None else part for name, part in given.items()}
    if isinstance(plain.get("columns"), Mapping):
        plain["columns"] = {
            str(name): {} if part is None else part for name, part in plain["columns"].items()
        }
    return plain


def _parts_of(given: Any, loc: Where) -> Iterator[str | int]:
    """Give the parts of a place that are of the input; pydantic adds those of the types that it tried."""
    for part in loc:
        yield part
        inside = isinstance(given, Mapping) and part in given
        if not inside and not (isinstance(given, list | tuple) and isinstance(part, int)):
            return
        given = given[part]


def _sentence(where: Where, problem: Any) -> str:
    name = shown(str(where[-1])) if where else ""
    owner = f" of {shown(str(where[1]))}" if len(where) > 2 and where[0] == "columns" else ""  # noqa: PLR2004
    if problem["type"] == "extra_forbidden":
        known = _known(where)
        return f"{name!r} is nothing that can be asked{owner}; use {', '.join(known)}{nearest(name, known)}"
    got = problem.get("input")
    if problem["type"] == "enum":
        known = [word.strip(" '") for word in problem["ctx"]["expected"].replace(" or ", ",").split(",")]
        return f"{name}{owner} must be {', '.join(known)}, not {shown(str(got))!r}{nearest(str(got), known)}"
    if problem["type"] == "value_error":
        return f"{name}{owner} {problem['ctx']['error']}, not {shown(str(got))!r}."
    if where and isinstance(where[-1], int):
        name = f"part {where[-1] + 1} of {where[-2]}"
    wanted = _SPOKEN.get(problem["type"], problem["msg"].removeprefix("Input "))
    return f"{name}{owner} {wanted}, not {shown(str(got))!r}."


def _known(where: Where) -> list[str]:
    if len(where) == 1:
        return _TOP
    return sorted((Defaults if where[0] == "defaults" else ColumnChoices).model_fields)
