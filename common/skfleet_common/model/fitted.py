"""Fitted models: the estimator of a fit with its features, and what its twins say of rows unseen by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.class_weights import with_class_keys
from skfleet_common.model.estimators.asked import AskedModel
from skfleet_common.model.estimators.assembly import Assembly
from skfleet_common.model.estimators.fitting import blaming
from skfleet_common.model.estimators.traits import parts_of
from skfleet_common.model.evaluation import evaluate
from skfleet_common.model.feature_choices import AskedKind
from skfleet_common.model.fit_checks import calibration_of, search_plan_of
from skfleet_common.model.fitted_features import (
    transformed_features,
    with_fills,
)
from skfleet_common.model.fitter import Fitter, Told
from skfleet_common.model.importance import importance_of
from skfleet_common.model.inputs import FEATURES_STEP, MODEL_STEP
from skfleet_common.model.manifest import Feature, Takes, TransformedFeature
from skfleet_common.model.model_file import dump_model
from skfleet_common.model.offers import PROBED_ROWS, outputs_of, scores_of
from skfleet_common.model.out_of_sample import (
    HOLDOUT_SHARE,
    MAX_EVALUATED_ROWS,
    NothingHeldOut,
    OutOfSample,
    Split,
    cross_validation,
    hold_out,
    predict_out_of_sample,
    take,
)
from skfleet_common.model.predictor import Predictor, Scores
from skfleet_common.model.training import TrainingRows
from skfleet_common.model.training_inputs import training_inputs
from skfleet_common.model.versions import library_versions


@dataclass(frozen=True)
class FittedModel:
    """What was fitted, and how its rows become its input."""

    #: A pipeline of features and model, or the model alone where it takes a data frame.
    model: Any
    takes: Takes
    features: tuple[Feature, ...]
    transformed: tuple[TransformedFeature, ...]
    #: The columns that it adds to a table, and those that it adds where they are asked for.
    outputs: tuple[OutputColumn, ...]
    more_outputs: tuple[OutputColumn, ...]
    tolerance: float
    #: Of the libraries that it is made of beside skfleet's own.
    versions: dict[str, str]
    metrics: dict[str, Any]
    #: A target a place; empty where nothing was held out.
    held: tuple[OutOfSample, ...]
    #: What the user should know of the fit.
    notes: tuple[str, ...] = ()


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
    inputs = training_inputs(rows, asked)
    choices = with_class_keys(choices, rows.targets.described)
    assembly = Assembly(
        model=asked,
        learning=rows.targets.learning,
        targets=len(rows.targets.columns),
        seed=choices.seed,
        params=choices.params,
        calibrate=calibration_of(choices.calibrate),
        is_weighted=rows.weights is not None,
        categorical=inputs.categorical,
    )
    # What cannot be stored unfitted cannot be fitted either, and it need not be fitted to know.
    dump_model(assembly.estimator(), choices.format, of=asked.asked)
    y = rows.targets.as_estimators_want(wants_codes=assembly.traits.wants_codes)
    split, skipped = _split(rows, choices)
    told = Told(on_rows, of=_rows_to_fit(split, len(y)))
    fitter = Fitter(assembly, inputs.X, y, weights=rows.weights, told=told)
    metrics: dict[str, Any] = {}
    if choices.search is not None:
        metrics["search"] = fitter.search(search_plan_of(choices, choices.search), split)
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
    transformer = inputs.transformer
    features = inputs.features if transformer is None else with_fills(inputs.features, transformer)
    transformed = (
        ()
        if transformer is None
        else transformed_features(inputs.features, transformer, dtype=asked.traits.dtype)
    )
    described = rows.targets.described
    with blaming(asked.asked, "asked for predictions"):
        probed = take(inputs.X, np.arange(min(len(y), PROBED_ROWS)))
        outputs, more_outputs = outputs_of(
            estimator,
            described,
            probed,
            scores=scores_of(estimator, described, probed),
            inputs=[feature.name for feature in transformed] or [feature.column for feature in features],
            tolerance=assembly.tolerance,
        )
    return FittedModel(
        model=(
            estimator
            if transformer is None
            else Pipeline([(FEATURES_STEP, transformer), (MODEL_STEP, estimator)])
        ),
        takes=inputs.takes,
        features=features,
        transformed=transformed,
        outputs=outputs,
        more_outputs=more_outputs,
        tolerance=assembly.tolerance,
        versions=_versions(estimator),
        metrics=metrics | _figures(held, rows, skipped),
        held=held,
        notes=_notes(choices, rows=len(y)),
    )


def _split(rows: TrainingRows, choices: FitChoices) -> tuple[Split | None, str]:
    """Give how rows are held out, or why none are."""
    if choices.cross_validate is not None:
        return cross_validation(rows.targets, folds=choices.cross_validate, seed=choices.seed), ""
    try:
        return hold_out(rows.targets, seed=choices.seed), ""
    except NothingHeldOut as exc:
        return None, str(exc)


def _notes(choices: FitChoices, *, rows: int) -> tuple[str, ...]:
    spoken_of = [
        name
        for name in choices.exclude
        if choices.features.of(name).kind is not AskedKind.EXCLUDE and name in choices.features.columns
    ]
    notes = tuple(
        f"Column {name!r} is excluded, so what the features file says of it counts for nothing."
        for name in spoken_of
    )
    if choices.cross_validate is not None or rows <= MAX_EVALUATED_ROWS:
        return notes
    return (
        *notes,
        f"The figures are those of a twin of the model that saw {MAX_EVALUATED_ROWS:,} of the {rows:,} rows, "
        f"less the {HOLDOUT_SHARE:.0%} of them that it is measured on; --cross-validate measures on all.",
    )


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
    return library_versions(type(part).__module__ for part in parts_of(estimator))
