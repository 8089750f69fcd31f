"""Fitted features: what a fitted transformer knows, written down for the manifest."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skfleet_common.model.manifest import Feature, FeatureKind, TransformedFeature
from skfleet_common.model.preprocessing import NUMBERS, category_name, number_columns

_OTHER = "(other)"


def with_fills(features: Sequence[Feature], transformer: ColumnTransformer) -> tuple[Feature, ...]:
    """Give the features with what their transformers put in place of NULL; trees put nothing."""
    fitted = transformer.named_transformers_
    numbers: dict[str, float] = {}
    if isinstance(fitted.get(NUMBERS), Pipeline):
        medians = fitted[NUMBERS].named_steps["fill"].statistics_
        numbers = {name: float(value) for name, value in zip(number_columns(features), medians, strict=True)}
    filled = []
    for position, feature in enumerate(features):
        fills: tuple[int | float | str, ...] = ()
        if feature.kind is FeatureKind.CATEGORY:
            encoder = fitted[category_name(position)]
            if isinstance(encoder, Pipeline) and feature.levels is not None:
                fills = (feature.levels.values[int(encoder.named_steps["fill"].statistics_[0])],)
        elif numbers:
            fills = tuple(numbers[name] for name in number_columns([feature]))
        filled.append(feature.model_copy(update={"fills": fills}))
    return tuple(filled)


def transformed_features(
    features: Sequence[Feature], transformer: ColumnTransformer
) -> tuple[TransformedFeature, ...]:
    """Give the columns of the feature array: ``column``, ``column:part`` or ``column=level``, each once."""
    names = number_columns(features)
    for position, feature in enumerate(features):
        if feature.kind is FeatureKind.CATEGORY:
            names += _category_names(feature, transformer.named_transformers_[category_name(position)])
    return tuple(TransformedFeature(name=name) for name in _unique(names))


def category_positions(
    features: Sequence[Feature], transformer: ColumnTransformer, *, up_to: int
) -> list[int]:
    """Give the columns of the feature array that hold codes of categories with at most ``up_to`` levels."""
    return [
        transformer.output_indices_[category_name(position)].start
        for position, feature in enumerate(features)
        if feature.levels is not None and len(feature.levels.values) <= up_to
    ]


def _category_names(feature: Feature, encoder: object) -> list[str]:
    if not isinstance(encoder, Pipeline) or feature.levels is None:
        return [feature.column]
    one_hot = encoder.named_steps["one_hot"]
    levels = feature.levels.values
    shared = one_hot.infrequent_categories_[0]
    rare = set() if shared is None else {int(code) for code in shared}
    own = [levels[code] for code in range(len(levels)) if code not in rare]
    return [*(f"{feature.column}={level}" for level in own), f"{feature.column}={_OTHER}"]


def _unique(names: list[str]) -> list[str]:
    """Give the names, a later one that repeats an earlier one with a number behind it."""
    taken: set[str] = set()
    unique = []
    for name in names:
        number, candidate = 1, name
        while candidate in taken:
            number += 1
            candidate = f"{name} ({number})"
        taken.add(candidate)
        unique.append(candidate)
    return unique
