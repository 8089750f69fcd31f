"""Preprocessing: scikit-learn's own transformers, chosen for the estimator, and their frame."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.arrays import canonical_array, numbers
from skfleet_common.model.manifest import Feature, FeatureKind
from skfleet_common.model.moments import moment_parts

#: The transformer of all numbers and parts of moments; each category has one of its own.
NUMBERS = "numbers"

#: A one-hot encoded column keeps this many columns; rarer levels share one with the unseen ones.
MAX_ONE_HOT = 100


class Style(StrEnum):
    """What an estimator wants its features to be."""

    #: Ordinal codes and missing values as they are.
    TREES = "trees"
    #: Filled, scaled and one-hot.
    LINEAR = "linear"


def category_name(position: int) -> str:
    """Give the name of the transformer of the feature at ``position``."""
    return f"category_{position}"


def number_columns(features: Sequence[Feature]) -> list[str]:
    """Give the names of the columns that :data:`NUMBERS` takes, in their order."""
    names: list[str] = []
    for feature in features:
        if feature.kind is FeatureKind.NUMBER:
            names.append(feature.column)
        elif feature.kind is FeatureKind.MOMENT:
            names += [f"{feature.column}:{part}" for part in feature.parts]
    return names


def make_transformer(features: Sequence[Feature], style: Style) -> ColumnTransformer:
    """Give the unfitted transformer of the source frame of ``features``."""
    steps: list[tuple[str, object, list[str]]] = []
    if columns := number_columns(features):
        steps.append((NUMBERS, _of_numbers(style), columns))
    for position, feature in enumerate(features):
        if feature.kind is FeatureKind.CATEGORY:
            steps.append((category_name(position), _of_category(feature, style), [feature.column]))
    return ColumnTransformer(steps, sparse_threshold=0.0)


def source_frame(source: pa.RecordBatch | pa.Table, features: Sequence[Feature]) -> pd.DataFrame:
    """Give the frame that the transformer takes: float64 with NaN, and text as objects with NaN.

    This is how training fits the transformer. Scoring takes a shorter way to the same features.
    """
    columns: dict[str, object] = {}
    for feature in features:
        array = canonical_array(source, feature.column, feature.dtype)
        if feature.kind is FeatureKind.MOMENT:
            names = [f"{feature.column}:{part}" for part in feature.parts]
            columns |= dict(zip(names, moment_parts(array, feature.parts), strict=True))
        elif feature.dtype is LogicalDtype.TEXT:
            columns[feature.column] = text_objects(array.to_pylist())
        else:
            columns[feature.column] = numbers(array)
    return pd.DataFrame(columns)


def text_objects(values: Sequence[object]) -> pd.Series:
    """Give text as an object column with NaN for None, which scikit-learn's encoders expect."""
    return pd.Series([np.nan if value is None else value for value in values], dtype=object)


def _of_numbers(style: Style) -> object:
    if style is Style.TREES:
        return FunctionTransformer()
    return Pipeline(
        [("fill", SimpleImputer(strategy="median", keep_empty_features=True)), ("scale", StandardScaler())]
    )


def _of_category(feature: Feature, style: Style) -> object:
    """Give an encoder that knows every level and the missing one before it is fitted."""
    assert feature.levels is not None  # noqa: S101  (a category always has levels)
    count = len(feature.levels.values)
    known = np.array([*feature.levels.values, np.nan], dtype=object if _is_text(feature) else np.float64)
    codes = OrdinalEncoder(
        categories=[known],
        handle_unknown="use_encoded_value",
        # Trees see an unseen level as one below all others; one-hot gives it a column.
        unknown_value=-1 if style is Style.TREES else count + 1,
        encoded_missing_value=np.nan,
    )
    if style is Style.TREES:
        return codes
    one_hot = OneHotEncoder(
        categories=[np.array([*range(count), count + 1], dtype=np.float64)],
        # One column is that of the rare and the unseen levels.
        max_categories=MAX_ONE_HOT,
        sparse_output=False,
    )
    return Pipeline(
        [("codes", codes), ("fill", SimpleImputer(strategy="most_frequent")), ("one_hot", one_hot)]
    )


def _is_text(feature: Feature) -> bool:
    return feature.dtype is LogicalDtype.TEXT
