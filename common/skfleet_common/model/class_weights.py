"""Class weights: their keys, which JSON has as text, in the type of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from skfleet_common.model.choices import FitChoices
from skfleet_common.model.manifest import Target

_PARAMETER = "class_weight"


def with_class_keys(choices: FitChoices, targets: Sequence[Target]) -> FitChoices:
    """Give the choices with class weights by classes, where their keys are the classes' texts."""
    if len(targets) != 1 or targets[0].classes is None:
        return choices
    # True and 1 are one key, but not one text.
    by_text = {_text(value): value for value in targets[0].classes.values}
    return replace(
        choices,
        params=_converted(choices.params, by_text),
        search_space=_converted(choices.search_space, by_text),
    )


def _converted(given: Any, by_text: Mapping[str, Any]) -> Any:
    if not isinstance(given, Mapping):
        return given
    return {
        name: _by_class(value, by_text) if _is_class_weight(name) else value for name, value in given.items()
    }


def _is_class_weight(name: str) -> bool:
    return name.replace(".", "__").rpartition("__")[2] == _PARAMETER


def _by_class(value: Any, by_text: Mapping[str, Any]) -> Any:
    if isinstance(value, list | tuple):
        return [_by_class(one, by_text) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {by_text.get(key, key) if isinstance(key, str) else key: of_key for key, of_key in value.items()}


def _text(value: bool | int | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
