"""Preprocessing: scikit-learn's own transformers, chosen for the estimator, and their frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import UsageError
from skfleet_common.model.arrays import canonical_array, numbers
from skfleet_common.model.manifest import Feature, FeatureKind
from skfleet_common.model.moments import moment_parts
from skfleet_common.model.policies import Fill, NullPolicy, Scale

#: The transformer of numbers and parts of moments; others of them are numbered. Each category has its own.
NUMBERS = "numbers"

#: A one-hot encoded column keeps this many columns; rarer levels share one with the unseen ones.
MAX_ONE_HOT = 100

_SCALERS = {
    Scale.STANDARD: StandardScaler,
    Scale.ROBUST: RobustScaler,
    Scale.MIN_MAX: MinMaxScaler,
    Scale.MAX_ABS: MaxAbsScaler,
}


class Style(StrEnum):
    """What an estimator wants its features to be."""

    #: Ordinal codes and missing values as they are.
    TREES = "trees"
    #: Filled, scaled and one-hot.
    LINEAR = "linear"


@dataclass(frozen=True)
class NumberGroup:
    """Numbers that are filled and scaled in the same way, by one transformer."""

    name: str
    #: Their features by position, and the columns of the source frame that these make.
    features: tuple[int, ...]
    columns: tuple[str, ...]
    #: Whether they stay what they are.
    is_plain: bool


def category_name(position: int) -> str:
    """Give the name of the transformer of the feature at ``position``."""
    return f"category_{position}"


def source_columns(features: Sequence[Feature]) -> list[tuple[str, ...]]:
    """Give the columns of the source frame by feature: its own name, or ``column:part``; each once."""
    names = [
        [f"{feature.column}:{part}" for part in feature.parts]
        if feature.kind is FeatureKind.MOMENT
        else [feature.column]
        for feature in features
    ]
    unique = iter(unique_names([name for of_one in names for name in of_one]))
    return [tuple(next(unique) for _ in of_one) for of_one in names]


def number_groups(features: Sequence[Feature]) -> list[NumberGroup]:
    """Give the groups of numbers, in the order of their first features."""
    columns = source_columns(features)
    members: dict[object, list[int]] = {}
    for position, feature in enumerate(features):
        if feature.kind is not FeatureKind.CATEGORY:
            constant = feature.fills[0] if feature.fill is Fill.CONSTANT else None
            members.setdefault((feature.fill, feature.scale, constant), []).append(position)
    return [
        NumberGroup(
            name=NUMBERS if number == 0 else f"{NUMBERS}_{number}",
            features=tuple(positions),
            columns=tuple(name for position in positions for name in columns[position]),
            is_plain=features[positions[0]].fill is Fill.NONE and features[positions[0]].scale is Scale.NONE,
        )
        for number, positions in enumerate(members.values())
    ]


def styled(features: Sequence[Feature], style: Style) -> tuple[Feature, ...]:
    """Give the features with the fills and scales that a style wants where none were asked for.

    Raises:
        UsageError: missing values are to be left, which the style cannot take.
    """
    return tuple(_styled(feature, style) for feature in features)


def make_transformer(features: Sequence[Feature], style: Style) -> ColumnTransformer:
    """Give the unfitted transformer of the source frame of features that are :func:`styled`."""
    columns = source_columns(features)
    steps: list[tuple[str, object, list[str]]] = [
        (group.name, _of_numbers(features[group.features[0]]), list(group.columns))
        for group in number_groups(features)
    ]
    for position, feature in enumerate(features):
        if feature.kind is FeatureKind.CATEGORY:
            steps.append((category_name(position), _of_category(feature, style), list(columns[position])))
    return ColumnTransformer(steps, sparse_threshold=0.0)


def source_frame(source: pa.RecordBatch | pa.Table, features: Sequence[Feature]) -> pd.DataFrame:
    """Give the frame that the transformer takes: float64 with NaN, and text as objects with NaN.

    This is how training fits the transformer. Scoring takes a shorter way to the same features.
    """
    columns: dict[str, object] = {}
    for feature, names in zip(features, source_columns(features), strict=True):
        array = canonical_array(source, feature.column, feature.dtype)
        if feature.kind is FeatureKind.MOMENT:
            columns |= dict(zip(names, moment_parts(array, feature.parts), strict=True))
        elif feature.kind is FeatureKind.CATEGORY:
            columns[names[0]] = category_values(array)
        else:
            columns[names[0]] = numbers(array)
    return pd.DataFrame(columns)


def category_values(array: pa.Array) -> pd.Series:
    """Give levels as scikit-learn's encoders expect them: text as objects with NaN for None, or numbers."""
    if not pa.types.is_string(array.type):
        return pd.Series(numbers(array))
    return pd.Series([np.nan if value is None else value for value in array.to_pylist()], dtype=object)


def unique_names(names: Sequence[str]) -> list[str]:
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


def other_code(feature: Feature, style: Style) -> int:
    """Give the code of the levels that have none of their own: rare ones and unseen ones.

    Trees see an unseen level as one below all others, unless they learned what the rare ones do.
    """
    assert feature.levels is not None  # noqa: S101  (a category always has levels)
    if style is Style.TREES and feature.rare_levels is None:
        return -1
    # The code in between is that of the missing value while the encoder is at work.
    return len(feature.levels.values) + 1


def _styled(feature: Feature, style: Style) -> Feature:
    is_category = feature.kind is FeatureKind.CATEGORY
    fill, scale = feature.fill, feature.scale
    if style is Style.LINEAR:
        if fill is Fill.NONE and feature.nulls is NullPolicy.MISSING:
            raise UsageError(
                f"{feature.column!r} is to keep its missing values, which this model cannot take; ask for "
                "another fill, for the null policy error or reject_row, or for a model of trees."
            )
        fill = fill or (Fill.MOST_FREQUENT if is_category else Fill.MEDIAN)
        scale = scale or Scale.STANDARD
    fills = feature.fills
    if is_category and fill is Fill.MOST_FREQUENT and feature.baseline is not None:
        fills = (feature.baseline.top_levels[0].level,)
    update = {
        "fill": fill or Fill.NONE,
        "scale": None if is_category else (scale or Scale.NONE),
        "fills": fills,
    }
    return feature.model_copy(update=update)


def _of_numbers(feature: Feature) -> object:
    """Give what fills and scales numbers as ``feature`` says."""
    steps: list[tuple[str, object]] = []
    if feature.fill is Fill.CONSTANT:
        constant = float(feature.fills[0])
        imputer = SimpleImputer(strategy="constant", fill_value=constant, keep_empty_features=True)
        steps.append(("fill", imputer))
    elif feature.fill is not None and feature.fill is not Fill.NONE:
        steps.append(("fill", SimpleImputer(strategy=feature.fill.value, keep_empty_features=True)))
    if feature.scale is not None and feature.scale is not Scale.NONE:
        steps.append(("scale", _SCALERS[feature.scale]()))
    return Pipeline(steps) if steps else FunctionTransformer()


def _of_category(feature: Feature, style: Style) -> object:
    """Give an encoder that knows every level and the missing one before it is fitted."""
    assert feature.levels is not None  # noqa: S101  (a category always has levels)
    levels = feature.levels.values
    is_text = feature.dtype is LogicalDtype.TEXT
    codes = OrdinalEncoder(
        categories=[np.array([*levels, np.nan], dtype=object if is_text else np.float64)],
        handle_unknown="use_encoded_value",
        unknown_value=other_code(feature, style),
        encoded_missing_value=np.nan,
    )
    steps: list[tuple[str, object]] = [("codes", codes)]
    if feature.fills:
        code = float(levels.index(feature.fills[0]))
        steps.append(("fill", SimpleImputer(strategy="constant", fill_value=code)))
    if style is Style.LINEAR:
        one_hot = OneHotEncoder(
            categories=[np.array([*range(len(levels)), other_code(feature, style)], dtype=np.float64)],
            # One column is that of the rare and the unseen levels.
            max_categories=MAX_ONE_HOT,
            sparse_output=False,
        )
        steps.append(("one_hot", one_hot))
    return Pipeline(steps) if len(steps) > 1 else codes
