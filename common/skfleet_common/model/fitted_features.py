"""Fitted features: what a fitted transformer knows, written down for the manifest."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skfleet_common.model.manifest import Feature, FeatureDtype, FeatureKind, TransformedFeature
from skfleet_common.model.preprocessing import category_name, number_groups, source_columns, unique_names

_OTHER = "(other)"


def with_fills(features: Sequence[Feature], transformer: ColumnTransformer) -> tuple[Feature, ...]:
    """Give the features with what their transformers put in place of NULL; trees put nothing."""
    fitted = transformer.named_transformers_
    numbers: dict[str, float] = {}
    for group in number_groups(features):
        steps = fitted[group.name].named_steps if isinstance(fitted[group.name], Pipeline) else {}
        if "fill" in steps:
            values = steps["fill"].statistics_
            numbers |= {name: float(value) for name, value in zip(group.columns, values, strict=True)}
    return tuple(
        feature.model_copy(update={"fills": tuple(numbers[name] for name in names)})
        if names[0] in numbers and feature.kind is not FeatureKind.CATEGORY
        else feature
        for feature, names in zip(features, source_columns(features), strict=True)
    )


def transformed_features(
    features: Sequence[Feature],
    transformer: ColumnTransformer,
    *,
    dtype: FeatureDtype = FeatureDtype.FLOAT64,
) -> tuple[TransformedFeature, ...]:
    """Give the columns of the feature array: ``column``, ``column:part`` or ``column=level``, each once."""
    names = [name for group in number_groups(features) for name in group.columns]
    for position, feature in enumerate(features):
        if feature.kind is FeatureKind.CATEGORY:
            names += _category_names(feature, transformer.named_transformers_[category_name(position)])
    return tuple(TransformedFeature(name=name, dtype=dtype) for name in unique_names(names))


def positions_by_column(
    features: Sequence[Feature], transformer: ColumnTransformer
) -> dict[str, list[int | str]]:
    """Give the columns of the feature array that each input column became."""
    found: dict[str, list[int | str]] = {feature.column: [] for feature in features}
    for group in number_groups(features):
        position = transformer.output_indices_[group.name].start
        for feature in (features[place] for place in group.features):
            count = len(feature.parts) if feature.kind is FeatureKind.MOMENT else 1
            found[feature.column] += range(position, position + count)
            position += count
    for place, feature in enumerate(features):
        if feature.kind is FeatureKind.CATEGORY:
            made = transformer.output_indices_[category_name(place)]
            found[feature.column] += range(made.start, made.stop)
    return found


def category_positions(
    features: Sequence[Feature], transformer: ColumnTransformer, *, up_to: int
) -> list[int]:
    """Give the columns of the feature array that hold codes of categories, all of them below ``up_to``."""
    return [
        transformer.output_indices_[category_name(position)].start
        for position, feature in enumerate(features)
        # Rare levels have a code of their own, after that of the missing value.
        if feature.levels is not None
        and len(feature.levels.values) + (0 if feature.rare_levels is None else 2) <= up_to
    ]


def _category_names(feature: Feature, encoder: object) -> list[str]:
    if not isinstance(encoder, Pipeline) or "one_hot" not in encoder.named_steps or feature.levels is None:
        return [feature.column]
    one_hot = encoder.named_steps["one_hot"]
    levels = feature.levels.values
    shared = one_hot.infrequent_categories_[0]
    rare = set() if shared is None else {int(code) for code in shared}
    own = [levels[code] for code in range(len(levels)) if code not in rare]
    return [*(f"{feature.column}={level}" for level in own), f"{feature.column}={_OTHER}"]
