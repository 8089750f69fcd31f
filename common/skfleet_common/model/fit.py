"""Fit: from a training table to a model with everything that its bundle needs."""

from __future__ import annotations

import time
import warnings as python_warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skfleet_common.contracts.columns import Column
from skfleet_common.model.arrays import FloatArray, canonical_array
from skfleet_common.model.choices import NOWHERE, FitChoices, Origin
from skfleet_common.model.column_policies import Policies
from skfleet_common.model.estimators import MAX_CATEGORICAL_LEVELS, ModelName, make_estimator, parse_model
from skfleet_common.model.features import FeatureBuilder
from skfleet_common.model.fingerprint import fingerprint
from skfleet_common.model.fitted_features import category_positions, transformed_features, with_fills
from skfleet_common.model.golden import choose_golden, golden_bytes
from skfleet_common.model.manifest import FeatureManifest, Hints, Provenance
from skfleet_common.model.metrics import evaluate
from skfleet_common.model.notices import Notice
from skfleet_common.model.out_of_sample import NothingHeldOut, hold_out
from skfleet_common.model.preprocessing import make_transformer, source_frame, styled
from skfleet_common.model.roles import assign_roles
from skfleet_common.model.scoring import FEATURES_STEP, MODEL_STEP, Scorer, output_columns_of
from skfleet_common.model.training import TrainingRows, prepare
from skfleet_common.model.versions import current_versions

#: Rows that the speed of scoring is measured on.
_TIMED_ROWS = 50_000


@dataclass(frozen=True)
class FittedBundle:
    """A fitted model, before it is packed."""

    manifest: FeatureManifest
    pipeline: Pipeline
    golden: bytes
    metrics: dict[str, Any]
    #: Sentences for the user: columns left out, rows left out, how the target was taken.
    warnings: tuple[str, ...]
    #: What training saw in the columns, for the report; the warnings say the same.
    notices: tuple[Notice, ...] = ()


def fit_model(
    frame: pa.Table,
    *,
    columns: Sequence[Column],
    choices: FitChoices,
    origin: Origin = NOWHERE,
    on_rows: Callable[[int, int], None] | None = None,
) -> FittedBundle:
    """Fit a model on ``frame``, which holds at least :func:`roles.columns_to_read` of ``columns``.

    The same rows in the same order, seed and library versions give the same model. Threads are those
    that the caller's environment allows. ``on_rows`` hears how many rows were fitted, of how many in all:
    those of the twin that the metrics are taken from, then all.

    Raises:
        Refused: the rows, the columns or the target do not allow it.
        UsageError: the settings do not.
    """
    named = parse_model(choices.model)
    roles = assign_roles(columns, choices)
    candidates = [column.name for column in roles if column.role == "feature"]
    rows = prepare(frame, roles, model=named, policies=Policies.of(choices, candidates))
    features = styled(rows.features, named.style)
    transformer = make_transformer(features, named.style)
    transformer.fit(source_frame(rows.table, features))
    X = FeatureBuilder(features, transformer, dtype=named.feature_dtype).build(rows.table).X
    estimator, metrics, caught = _fit_estimator(
        rows, transformer, X, model=named, seed=choices.seed, on_rows=on_rows
    )
    pipeline = Pipeline([(FEATURES_STEP, transformer), (MODEL_STEP, estimator)])
    features = with_fills(features, transformer)
    outputs = output_columns_of(rows.target.target)
    scorer = Scorer(
        pipeline,
        features=features,
        target=rows.target.target,
        outputs=outputs,
        dtype=named.feature_dtype,
    )
    manifest = FeatureManifest(
        name=choices.name,
        creator=f"skfleet {version('skfleet')}",
        created_at=datetime.now(UTC),
        model=named.full(rows.target.target.learning),
        tolerance=named.tolerance,
        versions=current_versions(),
        skew_policy=choices.skew_policy,
        columns=rows.columns,
        features=features,
        transformed=transformed_features(features, transformer, dtype=named.feature_dtype),
        target=rows.target.target,
        outputs=outputs,
        provenance=_provenance(rows, origin, seed=choices.seed),
        hints=_hints(scorer, rows, X),
    )
    chosen = rows.table.select(list(manifest.feature_columns)).take(
        choose_golden(rows.table, features, seed=choices.seed)
    )
    return FittedBundle(
        manifest=manifest,
        pipeline=pipeline,
        golden=golden_bytes(chosen, scorer),
        metrics=metrics,
        warnings=(*rows.warnings, *caught),
        notices=rows.notices,
    )


def _fit_estimator(
    rows: TrainingRows,
    transformer: ColumnTransformer,
    X: FloatArray,
    *,
    model: ModelName,
    seed: int,
    on_rows: Callable[[int, int], None] | None,
) -> tuple[Any, dict[str, Any], list[str]]:
    """Fit the estimator and its twin for the metrics; give what they warned of, each once."""
    target = rows.target
    codes = category_positions(rows.features, transformer, up_to=MAX_CATEGORICAL_LEVELS)
    estimator = make_estimator(model, target.target.learning, seed=seed, categorical=codes)
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always")
        metrics = _figures(estimator, X, rows, seed=seed)
        of_twin = int(metrics.get("rows_fitted", 0))
        if on_rows is not None:
            on_rows(of_twin, of_twin + len(X))
        estimator.fit(X, target.y, sample_weight=rows.weights)
        if on_rows is not None:
            on_rows(of_twin + len(X), of_twin + len(X))
    texts = dict.fromkeys(str(warning.message).split("\n")[0] for warning in caught)
    return estimator, metrics, [f"{model.asked} warned: {text}" for text in texts]


def _figures(estimator: Any, X: FloatArray, rows: TrainingRows, *, seed: int) -> dict[str, Any]:
    target = rows.target
    try:
        held = hold_out(estimator, X, target.y, target=target.target, weights=rows.weights, seed=seed)
    except NothingHeldOut as exc:
        return {"skipped": str(exc)}
    return evaluate(held, target.target)


def _provenance(rows: TrainingRows, origin: Origin, *, seed: int) -> Provenance:
    learned = [(feature.column, feature.dtype) for feature in rows.features]
    target = rows.target.target
    arrays = [
        (name, canonical_array(rows.table, name, dtype))
        for name, dtype in [*learned, (target.column, target.dtype)]
    ]
    return Provenance(
        **asdict(origin),
        rows=rows.table.num_rows,
        rows_without_target=rows.rows_without_target,
        rows_rejected=rows.rows_rejected,
        fingerprint=fingerprint(arrays),
        seed=seed,
    )


def _hints(scorer: Scorer, rows: TrainingRows, X: FloatArray) -> Hints:
    batch = rows.table.slice(0, _TIMED_ROWS).select([feature.column for feature in rows.features])
    # Processor time, so that a thread a core and a busy machine do not flatter or belie one core.
    started = time.process_time()
    scorer.score(batch)
    seconds = time.process_time() - started
    return Hints(
        rows_per_second_per_core=batch.num_rows / max(seconds, 1e-9),
        bytes_per_row=(batch.nbytes + X[: batch.num_rows].nbytes) / batch.num_rows,
    )
