"""Registration: from a model that was fitted elsewhere and a sample to everything that a bundle needs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError, shown
from skfleet_common.model.arrays import canonical_array
from skfleet_common.model.choices import NOWHERE, Origin
from skfleet_common.model.estimators.fitting import listening
from skfleet_common.model.evaluation.scores import score_histograms, scored_columns
from skfleet_common.model.fingerprint import fingerprint
from skfleet_common.model.fit import FittedBundle
from skfleet_common.model.fitted_categories import categories_of_model
from skfleet_common.model.fitted_encoders import check_levels, check_takes_columns
from skfleet_common.model.frame_inputs import FrameBuilder
from skfleet_common.model.golden import choose_golden, golden_bytes
from skfleet_common.model.inputs import input_builder
from skfleet_common.model.manifest import (
    Feature,
    FeatureManifest,
    Hints,
    Learning,
    Provenance,
    Takes,
    Target,
    TransformedFeature,
)
from skfleet_common.model.offers import outputs_of, scores_of
from skfleet_common.model.raw_baselines import with_baselines
from skfleet_common.model.raw_profile import OWN_LEVELS
from skfleet_common.model.refusals import counted
from skfleet_common.model.registered import (
    GIVES_NOTHING,
    check_model,
    described,
    guess_takes,
    labels_of_model,
    learning_of_model,
    modules_of,
    names_of_inputs,
    single_threaded,
    targets_of_model,
    tolerance_of,
)
from skfleet_common.model.sample_columns import Registration, inputs_of, raw_features
from skfleet_common.model.sample_figures import sample_figures
from skfleet_common.model.scoring import Scorer
from skfleet_common.model.trial import blaming_sample, check_repeatable, outputs_a_row, scorable_rows
from skfleet_common.model.versions import current_versions, library_versions

#: A figure that is so near to that of chance, or below it, is no proof of anything.
_HARDLY_BETTER = 0.05

#: Fewer rows are scored several times over, so that the speed is not that of the first call.
_TIMED_ROWS = 2_000


def describe_model(
    model: Any,
    sample: pa.Table,
    *,
    columns: Sequence[Column],
    asked: Registration,
    origin: Origin = NOWHERE,
    named: str = "The model",
) -> FittedBundle:
    """Give a fitted model with a manifest and golden rows, which are taken from ``sample``.

    Raises:
        Refused: it is no model, does not fit the sample, or predicts otherwise when it is asked again.
    """
    check_model(model, named=named)
    check_takes_columns(model)
    if sample.num_rows == 0:
        raise Refused("The sample has no rows, so nothing shows what the model does; give it some.")
    with listening("The model") as heard:
        made = _described(model, sample, columns, asked, origin)
    return replace(made, warnings=(*made.warnings, *heard.notes()))


def _described(
    model: Any, sample: pa.Table, columns: Sequence[Column], asked: Registration, origin: Origin
) -> FittedBundle:
    model = single_threaded(model)
    learning = learning_of_model(model)
    takes = asked.takes or guess_takes(model)
    inputs, roles = inputs_of(model, columns, asked, takes=takes)
    asked = replace(asked, categories={**asked.categories, **categories_of_model(model, inputs)})
    features = raw_features(sample, inputs, asked)
    table = sample.select([feature.column for feature in features])
    with blaming_sample():
        built = input_builder(model, features, takes)[0].build(table)
        X = built.X[~np.isin(np.arange(len(built.X)), list(built.rejects))]
        encodes, notes = check_levels(model, X, [feature.column for feature in features])
        targets = _targets(model, X, asked, learning)
        scores = scores_of(model, targets, X)
        outputs, more = outputs_of(
            model,
            targets,
            X,
            scores=scores,
            inputs=[feature.column for feature in features],
            tolerance=tolerance_of(model, is_exact=False),
        )
        if not outputs:
            raise Refused(GIVES_NOTHING)
        scorer = Scorer(model, features=features, targets=targets, outputs=outputs, more=more, takes=takes)
        kept = scorable_rows(table, scorer)
        rows = table.filter(kept)
    is_exact = check_repeatable(scorer, rows)
    figures = sample_figures(scorer, sample.filter(kept), targets, scores, seed=asked.seed)
    manifest = FeatureManifest(
        schema_version=3 if learning is Learning.UNSUPERVISED else 2,
        name=asked.name,
        format=asked.format,
        creator=f"skfleet {version('skfleet')}",
        created_at=datetime.now(UTC),
        model=described(model),
        takes=takes,
        tolerance=tolerance_of(model, is_exact=is_exact),
        versions=current_versions() | library_versions(modules_of(model)),
        skew_policy=asked.skew_policy,
        columns=roles,
        features=with_baselines(features, rows),
        transformed=_transformed(features, takes, rows),
        target=targets[0],
        further_targets=targets[1:],
        outputs=outputs,
        more_outputs=more,
        provenance=Provenance(
            source=origin.source,
            where=origin.where,
            null_texts=origin.null_texts,
            rows=sample.num_rows,
            rows_rejected=sample.num_rows - rows.num_rows,
            fingerprint=fingerprint(
                [(f.column, canonical_array(sample, f.column, f.dtype)) for f in features]
            ),
            seed=asked.seed,
        ),
        hints=_hints(scorer, rows),
        scores=score_histograms(scored_columns(scorer.score(rows).outputs)),
    )
    left = sample.num_rows - rows.num_rows
    return FittedBundle(
        manifest=manifest,
        pipeline=model,
        golden=golden_bytes(rows.take(choose_golden(rows, features, seed=asked.seed)), scorer),
        metrics=figures,
        warnings=(
            *([f"The model rejects {counted(left)} of the sample."] if left else []),
            *notes,
            *([OWN_LEVELS] if encodes or _takes_own_levels(features) else []),
            *_notes_of_order(model, features, takes, figures),
        ),
    )


def _takes_own_levels(features: Sequence[Feature]) -> bool:
    return any(feature.dtype is LogicalDtype.TEXT and feature.levels is None for feature in features)


def _notes_of_order(
    model: Any, features: Sequence[Feature], takes: Takes, figures: Mapping[str, Any]
) -> list[str]:
    """Say in which order a model that knows no names is given its columns, and if that looks wrong."""
    if takes is not Takes.ARRAY or names_of_inputs(model) is not None or len(features) < 2:  # noqa: PLR2004
        return []
    listed = ", ".join(feature.column for feature in features)
    notes = [f"The model names no columns; it is given {shown(listed)}, in this order."]
    for figure, said, chance in (("roc_auc", "ROC AUC", 0.5), ("r2", "R²", 0.0)):
        value = figures.get(figure)
        if value is not None and value < chance + _HARDLY_BETTER:
            notes.append(
                f"On the sample the model is hardly better than chance ({said} {value:.3f}); see that the "
                "sample's columns are those of its fit, in their order."
            )
    return notes


def _targets(model: Any, X: Any, asked: Registration, learning: Learning) -> tuple[Target, ...]:
    if learning is Learning.UNSUPERVISED:
        if asked.targets:
            raise UsageError(
                f"The model, a {described(model)}, learned without a target; leave --target out, or exclude "
                f"the column with --exclude {asked.targets[0]}."
            )
        return (labels_of_model(model, X),)
    count = outputs_a_row(model, X)
    return targets_of_model(model, names=asked.targets, learning=learning, outputs=count)


def _transformed(features: Sequence[Feature], takes: Takes, rows: pa.Table) -> tuple[TransformedFeature, ...]:
    X = FrameBuilder(features, takes).build(rows.slice(0, 1)).X
    dtypes = list(X.dtypes) if isinstance(X, pd.DataFrame) else [X.dtype] * len(features)
    return tuple(
        TransformedFeature(name=feature.column, dtype=str(dtype))
        for feature, dtype in zip(features, dtypes, strict=True)
    )


def _hints(scorer: Scorer, rows: pa.Table) -> Hints:
    batch = pa.concat_tables([rows] * -(-_TIMED_ROWS // rows.num_rows)).combine_chunks()
    started = time.process_time()
    scorer.score(batch)
    seconds = time.process_time() - started
    return Hints(
        rows_per_second_per_core=batch.num_rows / max(seconds, 1e-9),
        # As read, and as much again for what the model makes of it.
        bytes_per_row=2 * batch.nbytes / batch.num_rows,
    )
