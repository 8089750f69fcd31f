"""Fit: from a training table to a model with everything that its bundle needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from skfleet_common.contracts.columns import Column
from skfleet_common.model.arrays import FloatArray, canonical_array
from skfleet_common.model.choices import NOWHERE, FitChoices, Origin
from skfleet_common.model.column_policies import Policies
from skfleet_common.model.estimators.asked import AskedModel, parse_model
from skfleet_common.model.estimators.brought import is_brought
from skfleet_common.model.estimators.fitting import blaming, listening
from skfleet_common.model.estimators.traits import SUMS_TOLERANCE
from skfleet_common.model.evaluation.scores import held_scores, score_histograms, scored_columns
from skfleet_common.model.fingerprint import fingerprint
from skfleet_common.model.fitted import FittedModel, fit_to
from skfleet_common.model.golden import choose_golden, golden_bytes
from skfleet_common.model.manifest import FeatureManifest, Hints, Provenance
from skfleet_common.model.notices import Notice
from skfleet_common.model.oos_table import out_of_sample_table
from skfleet_common.model.roles import assign_roles, with_source_categories
from skfleet_common.model.scoring import Scorer
from skfleet_common.model.training import TrainingRows, prepare
from skfleet_common.model.trial import check_repeatable
from skfleet_common.model.versions import current_versions

#: Rows that the speed of scoring is measured on.
_TIMED_ROWS = 50_000

#: Rows that tell whether a model of somebody else's making predicts a row the same among any others.
_TRIED_ROWS = 1_000


@dataclass(frozen=True)
class FittedBundle:
    """A fitted model, before it is packed."""

    manifest: FeatureManifest
    #: A pipeline of features and model, or the model alone where it takes a data frame.
    pipeline: Any
    golden: bytes
    metrics: dict[str, Any]
    #: Sentences for the user: columns left out, rows left out, how the target was taken.
    warnings: tuple[str, ...]
    #: The outputs for rows that the predicting twin did not see, behind the ids of the rows.
    out_of_sample: pa.Table | None = None
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
    those of the twins that the metrics are taken from, then all.

    Raises:
        Refused: the rows, the columns or the target do not allow it.
        UsageError: the settings do not.
    """
    started = time.monotonic()
    with listening(choices.model) as heard:
        fitted = _fit(frame, columns, choices, origin, on_rows)
    hints = fitted.manifest.hints.model_copy(update={"seconds_fitting": time.monotonic() - started})
    return replace(
        fitted,
        manifest=fitted.manifest.model_copy(update={"hints": hints}),
        warnings=(*fitted.warnings, *heard.notes()),
    )


def _fit(
    frame: pa.Table,
    columns: Sequence[Column],
    choices: FitChoices,
    origin: Origin,
    on_rows: Callable[[int, int], None] | None,
) -> FittedBundle:
    asked = parse_model(choices.model)
    choices = with_source_categories(choices, columns)
    roles = assign_roles(columns, choices)
    candidates = [column.name for column in roles if column.role == "feature"]
    rows = prepare(
        frame, roles, targets=choices.targets, model=asked, policies=Policies.of(choices, candidates)
    )
    fitted = fit_to(rows, asked, choices, on_rows=on_rows)
    targets = rows.targets.described
    outputs = fitted.outputs
    scorer = Scorer(
        fitted.model,
        features=fitted.features,
        targets=targets,
        outputs=outputs,
        more=fitted.more_outputs,
        takes=fitted.takes,
        dtype=asked.traits.dtype,
    )
    with blaming(asked.asked, "asked for predictions"):
        hints = _hints(scorer, rows)
        _check_repeatable(scorer, rows, asked, tolerance=fitted.tolerance)
        said = held_scores(fitted.held, outputs) or _scores_in_sample(scorer, rows)
        chosen = rows.table.select([feature.column for feature in fitted.features]).take(
            choose_golden(rows.table, fitted.features, seed=choices.seed)
        )
        golden = golden_bytes(chosen, scorer)
    manifest = FeatureManifest(
        name=choices.name,
        creator=f"skfleet {version('skfleet')}",
        created_at=datetime.now(UTC),
        model=asked.full(rows.targets.learning),
        takes=fitted.takes,
        tolerance=fitted.tolerance,
        versions=current_versions() | fitted.versions,
        skew_policy=choices.skew_policy,
        format=choices.format,
        columns=rows.columns,
        features=fitted.features,
        transformed=fitted.transformed,
        target=targets[0],
        further_targets=targets[1:],
        outputs=outputs,
        more_outputs=fitted.more_outputs,
        provenance=_provenance(rows, fitted, origin, seed=choices.seed),
        hints=hints,
        scores=score_histograms(said),
    )
    return FittedBundle(
        manifest=manifest,
        pipeline=fitted.model,
        golden=golden,
        metrics=fitted.metrics,
        warnings=(*asked.notes, *rows.warnings, *fitted.notes),
        out_of_sample=out_of_sample_table(frame, rows, fitted, choices, outputs),
        notices=rows.notices,
    )


def _check_repeatable(scorer: Scorer, rows: TrainingRows, asked: AskedModel, *, tolerance: float) -> None:
    """Refuse a model of the user's own that predicts a row otherwise the next time, or among other rows."""
    if not is_brought(asked.asked):
        return
    table = rows.table.slice(0, _TRIED_ROWS).select([feature.column for feature in rows.features])
    kept = scorer.score(table).kept
    if kept.any():
        check_repeatable(scorer, table.filter(pa.array(kept)), tolerance=max(tolerance, SUMS_TOLERANCE))


def _provenance(rows: TrainingRows, fitted: FittedModel, origin: Origin, *, seed: int) -> Provenance:
    learned = [(feature.column, feature.dtype) for feature in fitted.features]
    learned += [(target.column, target.dtype) for target in rows.targets.described]
    arrays = [(name, canonical_array(rows.table, name, dtype)) for name, dtype in learned]
    return Provenance(
        **asdict(origin),
        rows=rows.table.num_rows,
        rows_without_target=rows.rows_without_target,
        rows_rejected=rows.rows_rejected,
        fingerprint=fingerprint(arrays),
        seed=seed,
    )


def _scores_in_sample(scorer: Scorer, rows: TrainingRows) -> dict[str, FloatArray]:
    """Give outputs for rows that the model was fitted on, where none were held out."""
    return scored_columns(scorer.score(rows.table.slice(0, _TIMED_ROWS)).outputs)


def _hints(scorer: Scorer, rows: TrainingRows) -> Hints:
    batch = rows.table.slice(0, _TIMED_ROWS).select([feature.column for feature in rows.features])
    # Processor time, so that a thread a core and a busy machine do not flatter or belie one core.
    started = time.process_time()
    scorer.score(batch)
    seconds = time.process_time() - started
    # A frame's columns are about as wide as the batch's own.
    width = len(rows.features) if scorer.width is None else scorer.width
    return Hints(
        rows_per_second_per_core=batch.num_rows / max(seconds, 1e-9),
        bytes_per_row=batch.nbytes / batch.num_rows + 8 * width,
    )
