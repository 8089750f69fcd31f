"""Traits: what an estimator wants of its features and its target, by facts that it states itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skfleet_common.model.manifest import FeatureDtype, Learning
from skfleet_common.model.preprocessing import Style

#: Where every row goes its own way down a tree, and a missing value has a way too.
_TREES = (
    "sklearn.tree",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._hist_gradient_boosting",
    "lightgbm",
    "xgboost",
)
#: A bag whose estimator is not named is one of trees.
_BAG = "sklearn.ensemble._bagging"

#: These cast features to float32 before they look at them, so that float64 says no more.
_SINGLE_PRECISION = ("sklearn.tree", "sklearn.ensemble._forest", "xgboost")

#: Sums by BLAS round differently by batch size.
SUMS_TOLERANCE = 1e-12
#: These solve with matrices that may be nearly singular, which magnifies the rounding.
ILL_CONDITIONED_TOLERANCE = 1e-6
_ILL_CONDITIONED = (
    "sklearn.gaussian_process",
    "sklearn.kernel_ridge",
    "sklearn.discriminant_analysis",
    "sklearn.cross_decomposition",
    "sklearn.semi_supervised",
)

#: These learn several targets of any classes at once; of other classifiers there is one a target.
_SEVERAL_CLASSES = ("sklearn.tree", "sklearn.ensemble._forest", "sklearn.neighbors", "sklearn.dummy")

#: Without a number of jobs, these take every core.
_EVERY_CORE = ("lightgbm", "xgboost")

#: These take only the classes 0, 1, 2 …, or give the class -1 a meaning of its own.
_CODES = ("xgboost", "sklearn.semi_supervised")


@dataclass(frozen=True)
class Traits:
    """What follows from an estimator alone for its features, its target and its replay."""

    style: Style
    #: Of the feature array.
    dtype: FeatureDtype
    #: How far a replayed prediction may be off, relatively; 0 means equal.
    tolerance: float
    #: Whether it refuses features below 0.
    is_positive_only: bool
    #: Whether it takes each feature for a code.
    is_categorical: bool
    #: Whether it selects columns by name, and so wants a data frame.
    wants_frame: bool
    #: Whether classes must be numbered.
    wants_codes: bool
    takes_weights: bool
    takes_one_target: bool
    takes_several_targets: bool


def traits_of(estimator: Any) -> Traits:
    """Give the traits of an unfitted estimator, which may be a pipeline or hold other estimators."""
    parts = list(parts_of(estimator))
    predicting = [part for part in parts if hasattr(part, "predict")] or [estimator]
    leaves = [part for part in predicting if not _inner_predictors(part)]
    are_trees = all(_module(leaf).startswith((*_TREES, _BAG)) for leaf in leaves)
    wants_frame = any(isinstance(part, ColumnTransformer) for part in parts)
    has_pipeline = any(isinstance(part, Pipeline) for part in parts)
    first = [estimator] if has_pipeline else leaves
    is_single = _are(predicting, _SINGLE_PRECISION) and not has_pipeline
    tags = tags_of(estimator)
    takes_one = tags is None or tags.target_tags.single_output
    return Traits(
        style=Style.TREES if wants_frame or (are_trees and _takes_missing(estimator)) else Style.LINEAR,
        dtype=FeatureDtype.FLOAT32 if is_single else FeatureDtype.FLOAT64,
        tolerance=_tolerance(predicting, has_pipeline=has_pipeline),
        is_positive_only=any(_input_tag(part, "positive_only") for part in first),
        is_categorical=any(_input_tag(part, "categorical") for part in first) and not are_trees,
        wants_frame=wants_frame,
        wants_codes=any(_module(part).startswith(_CODES) for part in parts),
        takes_weights=all(_takes_weights(part) for part in [last_of(estimator), *leaves]),
        takes_one_target=takes_one,
        takes_several_targets=tags is not None
        and tags.target_tags.multi_output
        and (is_regressor(estimator) or not takes_one or _module(estimator).startswith(_SEVERAL_CLASSES)),
    )


def learning_of(estimator: Any) -> Learning | None:
    """Give what the estimator learns; None where it does not say."""
    if tags_of(estimator) is None:
        return None
    if is_classifier(estimator):
        return Learning.CLASSIFICATION
    return Learning.REGRESSION if is_regressor(estimator) else None


def tags_of(estimator: Any) -> Any:
    """Give scikit-learn's tags of the estimator; None where it cannot tell them."""
    try:
        return get_tags(estimator)
    except Exception:  # noqa: BLE001  (tags ask the estimators inside, which may be of any make)
        return None


def last_of(estimator: Any) -> Any:
    """Give the estimator at the end of a pipeline, which may end in another one."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def runs_side_by_side(part: Any, n_jobs: int | None) -> bool:
    """Whether an estimator with this ``n_jobs`` takes more than one core."""
    return _module(part).startswith(_EVERY_CORE) if n_jobs is None else n_jobs != 1


def parts_of(estimator: Any) -> Iterator[Any]:
    """Give the estimator and all inside it that has parameters, depth first."""
    yield estimator
    for value in estimator.get_params(deep=False).values():
        inner = [item[1] for item in value if _is_named(item)] if isinstance(value, list | tuple) else [value]
        for part in inner:
            if hasattr(part, "get_params") and not isinstance(part, type):
                yield from parts_of(part)


def _is_named(item: object) -> bool:
    return isinstance(item, tuple) and len(item) > 1 and isinstance(item[0], str)


def _inner_predictors(estimator: Any) -> list[Any]:
    return [part for part in parts_of(estimator) if part is not estimator and hasattr(part, "predict")]


def _takes_missing(estimator: Any) -> bool:
    """Whether missing values may come in; a pipeline's tags speak of its first step only."""
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps[:-1]:
            if _module(step).startswith("sklearn.impute"):
                return True
            if step != "passthrough" and not _input_tag(step, "allow_nan"):
                return False
    return _input_tag(last_of(estimator), "allow_nan")


def _takes_weights(estimator: Any) -> bool:
    if has_fit_parameter(estimator, "sample_weight"):
        return True
    # What holds other estimators may hand everything on to them.
    kinds = {parameter.kind for parameter in signature(estimator.fit).parameters.values()}
    return Parameter.VAR_KEYWORD in kinds and bool(_inner_predictors(estimator))


def _tolerance(predicting: list[Any], *, has_pipeline: bool) -> float:
    if _are(predicting, _TREES) and not has_pipeline:
        return 0.0
    hard = any(_module(part).startswith(_ILL_CONDITIONED) for part in predicting)
    return ILL_CONDITIONED_TOLERANCE if hard else SUMS_TOLERANCE


def _are(estimators: list[Any], modules: tuple[str, ...]) -> bool:
    return all(_module(estimator).startswith(modules) for estimator in estimators)


def _input_tag(estimator: Any, name: str) -> bool:
    tags = tags_of(estimator)
    return tags is not None and bool(getattr(tags.input_tags, name))


def _module(estimator: Any) -> str:
    return type(estimator).__module__
