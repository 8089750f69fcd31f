"""Estimators: the names by which models are asked for, and the scikit-learn classes behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from skfleet_common.contracts.errors import UsageError, nearest
from skfleet_common.model.manifest import FeatureDtype, Learning
from skfleet_common.model.preprocessing import Style

#: HistGradientBoosting bins a feature into at most 255 values, and keeps one for the missing ones.
MAX_CATEGORICAL_LEVELS = 254

#: Linear models sum by BLAS, which rounds differently by batch size; trees compute each row by itself.
LINEAR_TOLERANCE = 1e-12

#: What a leaf of a forest must hold: small leaves make bundles of hundreds of megabytes.
_FOREST = {"n_estimators": 100, "min_samples_leaf": 50, "n_jobs": 1}


@dataclass(frozen=True)
class _Family:
    style: Style
    makers: dict[Learning, Callable[..., Any]]
    settings: dict[str, Any]
    is_seeded: bool = True
    dtype: FeatureDtype = FeatureDtype.FLOAT64


_CLASSIFIES, _REGRESSES = Learning.CLASSIFICATION, Learning.REGRESSION
_FAMILIES = {
    "gradient_boosting": _Family(
        Style.TREES,
        {_CLASSIFIES: HistGradientBoostingClassifier, _REGRESSES: HistGradientBoostingRegressor},
        # An early stop would hold rows back that stratification cannot always split.
        {"early_stopping": False},
    ),
    "random_forest": _Family(
        Style.TREES,
        {_CLASSIFIES: RandomForestClassifier, _REGRESSES: RandomForestRegressor},
        _FOREST,
        dtype=FeatureDtype.FLOAT32,
    ),
    "extra_trees": _Family(
        Style.TREES,
        {_CLASSIFIES: ExtraTreesClassifier, _REGRESSES: ExtraTreesRegressor},
        _FOREST,
        dtype=FeatureDtype.FLOAT32,
    ),
    "logistic_regression": _Family(Style.LINEAR, {_CLASSIFIES: LogisticRegression}, {"max_iter": 1_000}),
    "linear_regression": _Family(Style.LINEAR, {_REGRESSES: LinearRegression}, {}, is_seeded=False),
    "ridge": _Family(Style.LINEAR, {_REGRESSES: Ridge}, {}),
}
_SUFFIXES = {"_classifier": _CLASSIFIES, "_regressor": _REGRESSES}


@dataclass(frozen=True)
class ModelName:
    """A model as asked for; ``learning`` is None where the target decides."""

    asked: str
    family: str
    learning: Learning | None

    @property
    def style(self) -> Style:
        """What features the model wants."""
        return _FAMILIES[self.family].style

    @property
    def feature_dtype(self) -> FeatureDtype:
        """What the model would cast its features to by itself: trees of forests have single precision."""
        return _FAMILIES[self.family].dtype

    @property
    def tolerance(self) -> float:
        """How far a replayed prediction may be off, relatively."""
        return 0.0 if self.style is Style.TREES else LINEAR_TOLERANCE

    def full(self, learning: Learning) -> str:
        """Give the name that leaves nothing to the target."""
        if len(_FAMILIES[self.family].makers) == 1:
            return self.family
        return self.family + next(suffix for suffix, of in _SUFFIXES.items() if of is learning)


def known_models() -> list[str]:
    """Give every name that :func:`parse_model` takes."""
    names: list[str] = []
    for family, facts in _FAMILIES.items():
        names.append(family)
        if len(facts.makers) > 1:
            names += [family + suffix for suffix in _SUFFIXES]
    return names


def parse_model(asked: str) -> ModelName:
    """Give the model called ``asked``.

    Raises:
        UsageError: there is none.
    """
    known = known_models()
    if asked not in known:
        hint = nearest(asked, known)
        raise UsageError(f"There is no model {asked!r}; use one of {', '.join(_FAMILIES)}{hint}")
    for suffix, learning in _SUFFIXES.items():
        if asked.endswith(suffix):
            return ModelName(asked, asked.removesuffix(suffix), learning)
    makers = _FAMILIES[asked].makers
    return ModelName(asked, asked, next(iter(makers)) if len(makers) == 1 else None)


def is_regression_only(model: ModelName) -> bool:
    """Whether the model has no classifier."""
    return _CLASSIFIES not in _FAMILIES[model.family].makers


def make_estimator(model: ModelName, learning: Learning, *, seed: int, categorical: list[int]) -> Any:
    """Give the unfitted estimator; ``categorical`` are the feature columns that hold few enough codes."""
    family = _FAMILIES[model.family]
    settings = dict(family.settings)
    if family.is_seeded:
        settings["random_state"] = seed
    if model.family == "gradient_boosting" and categorical:
        settings["categorical_features"] = categorical
    return family.makers[learning](**settings)
