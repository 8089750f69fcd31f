"""Fitted models: the estimator of a fit with its features, and what its twins say of rows unseen by them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skfleet_common.contracts.errors import UsageError, nearest, shown
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.estimators.asked import AskedModel, parse_model
from skfleet_common.model.estimators.assembly import CALIBRATIONS, MAX_CATEGORICAL_LEVELS, Assembly
from skfleet_common.model.estimators.fitting import blaming, fit_estimator, listening
from skfleet_common.model.estimators.search import SearchPlan, search, space_of
from skfleet_common.model.estimators.traits import parts_of
from skfleet_common.model.evaluation import evaluate
from skfleet_common.model.features import FeatureBuilder
from skfleet_common.model.fitted_features import (
    category_positions,
    positions_by_column,
    transformed_features,
    with_fills,
)
from skfleet_common.model.frame_inputs import FrameBuilder
from skfleet_common.model.importance import importance_of
from skfleet_common.model.inputs import FEATURES_STEP, MODEL_STEP
from skfleet_common.model.manifest import Feature, Takes, TransformedFeature
from skfleet_common.model.model_file import dump_model
from skfleet_common.model.out_of_sample import (
    NothingHeldOut,
    OutOfSample,
    Split,
    cross_validation,
    hold_out,
    predict_out_of_sample,
    take,
)
from skfleet_common.model.predictor import Predictor, Scores, scores_of
from skfleet_common.model.preprocessing import make_transformer, source_frame, styled
from skfleet_common.model.training import TrainingRows

#: Libraries beside scikit-learn whose version can change what a model computes.
_LIBRARIES = ("lightgbm", "xgboost")

#: Rows that tell what an estimator answers with.
_PROBED_ROWS = 100


@dataclass(frozen=True)
class FittedModel:
    """What was fitted, and how its rows become its input."""

    #: A pipeline of features and model, or the model alone where it takes a data frame.
    model: Any
    takes: Takes
    features: tuple[Feature, ...]
    transformed: tuple[TransformedFeature, ...]
    scores: Scores
    tolerance: float
    #: Of the libraries that it is made of beside skfleet's own.
    versions: dict[str, str]
    metrics: dict[str, Any]
    #: A target a place; empty where nothing was held out.
    held: tuple[OutOfSample, ...]


@dataclass(frozen=True)
class _Inputs:
    """The input of every row, and what makes it."""

    X: Any
    takes: Takes
    features: tuple[Feature, ...]
    transformer: ColumnTransformer | None = None
    categorical: tuple[int, ...] = ()

    @property
    def columns_by_input(self) -> dict[str, list[int | str]]:
        """Where in ``X`` each input column is."""
        if self.transformer is None:
            return {feature.column: [feature.column] for feature in self.features}
        return positions_by_column(self.features, self.transformer)


def fit_to(
    rows: TrainingRows,
    asked: AskedModel,
    choices: FitChoices,
    *,
    on_rows: Callable[[int, int], None] | None,
) -> FittedModel:
    """Fit the model that was asked for to ``rows``, and twins of it to parts of them.

    Raises:
        Refused: it cannot be fitted to them.
        UsageError: it cannot be fitted in the way that was chosen.
    """
    inputs = _inputs(rows, asked)
    assembly = Assembly(
        model=asked,
        learning=rows.targets.learning,
        targets=len(rows.targets.columns),
        seed=choices.seed,
        params=choices.params,
        calibrate=_calibration(choices.calibrate),
        is_weighted=rows.weights is not None,
        categorical=inputs.categorical,
    )
    # What cannot be stored unfitted cannot be fitted either, and it need not be fitted to know.
    dump_model(assembly.estimator(), choices.format, of=asked.asked)
    y = rows.targets.as_estimators_want(wants_codes=assembly.traits.wants_codes)
    split, skipped = _split(rows, choices)
    told = _Told(on_rows, of=_rows_to_fit(split, len(y)))
    fitter = _Fitter(assembly, inputs.X, y, weights=rows.weights, told=told)
    metrics: dict[str, Any] = {}
    if choices.search is not None:
        metrics["search"] = fitter.search(_search_plan(choices, choices.search), split)
    held: tuple[OutOfSample, ...] = ()
    if split is not None:

        def look(twin: Predictor, unseen: npt.NDArray[np.int64], said: Scores) -> None:
            metrics["importance"] = importance_of(
                twin,
                inputs.X,
                rows,
                unseen,
                groups=inputs.columns_by_input,
                scores=said,
                seed=choices.seed,
            )

        held = predict_out_of_sample(
            split,
            fitter.fit,
            inputs.X,
            targets=rows.targets,
            weights=rows.weights,
            name=asked.asked,
            look=look,
        )
    estimator = fitter.fit(np.arange(len(y)))
    with blaming(asked.asked, "asked for predictions"):
        scores = scores_of(
            estimator, rows.targets.described, take(inputs.X, np.arange(min(len(y), _PROBED_ROWS)))
        )
    transformer = inputs.transformer
    return FittedModel(
        model=(
            estimator
            if transformer is None
            else Pipeline([(FEATURES_STEP, transformer), (MODEL_STEP, estimator)])
        ),
        takes=inputs.takes,
        features=inputs.features if transformer is None else with_fills(inputs.features, transformer),
        transformed=(
            ()
            if transformer is None
            else transformed_features(inputs.features, transformer, dtype=asked.traits.dtype)
        ),
        scores=scores,
        tolerance=assembly.tolerance,
        versions=_versions(estimator),
        metrics=metrics | _figures(held, rows, skipped),
        held=held,
    )


class _Told:
    """Tells who wants to know how many rows were fitted, of how many."""

    def __init__(self, on_rows: Callable[[int, int], None] | None, *, of: int) -> None:
        self._on_rows, self._of, self._done = on_rows, of, 0

    def fitted(self, rows: int) -> None:
        """Count more rows."""
        self._done += rows
        if self._on_rows is not None:
            self._on_rows(self._done, self._of)


class _Fitter:
    """Fits the assembly to parts of the rows, and tells how far it is."""

    def __init__(
        self,
        assembly: Assembly,
        X: Any,
        y: npt.NDArray[Any],
        *,
        weights: FloatArray | None,
        told: _Told,
    ) -> None:
        self._assembly, self._X, self._y, self._weights = assembly, X, y, weights
        self._told = told
        self._found: dict[str, Any] = {}

    def fit(self, rows: npt.NDArray[np.int64]) -> Any:
        """Give an estimator fitted to some rows."""
        weights = None if self._weights is None else self._weights[rows]
        # All rows are not copied: what the estimator does to them matters to nobody any more.
        X = self._X if len(rows) == len(self._y) else take(self._X, rows)
        estimator = fit_estimator(
            self._assembly.estimator(self._found),
            X,
            self._y[rows],
            weights=weights,
            name=self._assembly.model.asked,
        )
        self._told.fitted(len(rows))
        return estimator

    def search(self, plan: SearchPlan, split: Split | None) -> dict[str, Any]:
        """Fix the best parameters from here on, and give the report of the search.

        Rows that are held out do not take part, so that figures of them stay honest. Under
        cross-validation every row does, as each is held out at some time.
        """
        rows = np.arange(len(self._y))
        if split is not None and len(split.parts) == 1:
            rows = split.parts[0][0]
        weights = None if self._weights is None else self._weights[rows]
        found = search(plan, self._assembly, take(self._X, rows), self._y[rows], weights=weights)
        self._found = found.best
        return found.report | {"rows": len(rows)}


def check_model(choices: FitChoices) -> None:
    """Refuse what can be refused before any row is read.

    Raises:
        UsageError: there is no such model, or it does not take a parameter, a search, a calibration, weights
            or so many targets.
    """
    with listening(choices.model):
        asked = parse_model(choices.model)
    if choices.cross_validate is not None and choices.cross_validate < 2:  # noqa: PLR2004  (see _split)
        raise UsageError(f"--cross-validate must be 2 or more, not {choices.cross_validate}.")
    plan = None if choices.search is None else _search_plan(choices, choices.search)
    errors: list[UsageError] = []
    for learning in asked.prototypes:
        calibrate = _calibration(choices.calibrate) if len(asked.prototypes) == 1 else None
        try:
            assembly = Assembly(
                model=asked,
                learning=learning,
                targets=len(choices.targets),
                params=choices.params,
                calibrate=calibrate,
                is_weighted=choices.weight is not None,
            )
            if plan is not None:
                space_of(plan, assembly)
        except UsageError as error:
            errors.append(error)
    if len(errors) == len(asked.prototypes):
        raise errors[0]


def _inputs(rows: TrainingRows, asked: AskedModel) -> _Inputs:
    if asked.traits.wants_frame:
        X = FrameBuilder(rows.features, Takes.FRAME).build(rows.table).X
        return _Inputs(X, Takes.FRAME, rows.features)
    features = styled(rows.features, asked.style)
    transformer = make_transformer(features, asked.style)
    transformer.fit(source_frame(rows.table, features))
    builder = FeatureBuilder(features, transformer, dtype=asked.traits.dtype)
    X = builder.build_for_training(rows.table)
    codes = category_positions(features, transformer, up_to=MAX_CATEGORICAL_LEVELS)
    return _Inputs(X, Takes.FEATURES, features, transformer, tuple(codes))


def _calibration(asked: str | None) -> str | None:
    if asked is not None and asked not in CALIBRATIONS:
        raise UsageError(
            f"There is no calibration {shown(asked)!r}; use {' or '.join(CALIBRATIONS)}"
            f"{nearest(asked, list(CALIBRATIONS))}"
        )
    return asked


def _search_plan(choices: FitChoices, kind: str) -> SearchPlan:
    return SearchPlan(
        kind=kind,
        space=choices.search_space,
        iterations=choices.search_iterations,
        scoring=choices.search_scoring,
        folds=choices.search_folds,
        seed=choices.seed,
    )


def _split(rows: TrainingRows, choices: FitChoices) -> tuple[Split | None, str]:
    """Give how rows are held out, or why none are."""
    if choices.cross_validate is not None:
        return cross_validation(rows.targets, folds=choices.cross_validate, seed=choices.seed), ""
    try:
        return hold_out(rows.targets, seed=choices.seed), ""
    except NothingHeldOut as exc:
        return None, str(exc)


def _rows_to_fit(split: Split | None, rows: int) -> int:
    return rows + (0 if split is None else sum(len(fitted) for fitted, _ in split.parts))


def _figures(held: tuple[OutOfSample, ...], rows: TrainingRows, skipped: str) -> dict[str, Any]:
    if not held:
        return {"skipped": skipped}
    if len(held[0].rows) < 2:  # noqa: PLR2004  (two rows are the least that can differ)
        return {"skipped": "the model gives no finite number for the rows that were held out"}
    figures = [evaluate(part, target) for part, target in zip(held, rows.targets.described, strict=True)]
    if len(figures) == 1:
        return figures[0]
    names = [target.column for target in rows.targets.described]
    shared = {name: figures[0][name] for name in ("split", "rows_fitted", "rows_measured")}
    return shared | {"targets": dict(zip(names, figures, strict=True))}


def _versions(estimator: Any) -> dict[str, str]:
    modules = {type(part).__module__.partition(".")[0] for part in parts_of(estimator)}
    return {name: str(sys.modules[name].__version__) for name in _LIBRARIES if name in modules}
