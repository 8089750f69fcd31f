"""Training: rows into memory, a fit, and the bundle into the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from skfleet.fit_keywords import with_found_columns
from skfleet.inputs.opening import open_input
from skfleet.inputs.port import TrainingInput
from skfleet.out_of_sample import OutOfSampleAsked, check_destination, write_out_of_sample
from skfleet.progress import Steps
from skfleet.registry import Registry
from skfleet.train_request import TrainRequest
from skfleet_common.aws.user_files import UserFiles
from skfleet_common.contracts.columns import Column
from skfleet_common.contracts.errors import Refused, SkfleetError, UsageError
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, open_bundle, pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import FittedBundle, fit_model
from skfleet_common.model.fit_checks import check_model
from skfleet_common.model.manifest import FeatureManifest, InputColumn
from skfleet_common.model.notices import Notice
from skfleet_common.model.roles import assign_roles, columns_to_read
from skfleet_common.tables.port import Warehouse


@dataclass(frozen=True)
class TrainedModel:
    """A registered bundle and what its training has to say."""

    name: str
    digest: str
    manifest: FeatureManifest
    metrics: dict[str, Any]
    warnings: tuple[str, ...]
    #: What training saw in single columns; the warnings say the same.
    notices: tuple[Notice, ...] = ()
    #: Out-of-sample rows that were written.
    rows_out_of_sample: int = 0


@dataclass(frozen=True)
class TrainingPlan:
    """What a training would learn from, told without a fit."""

    source: str
    #: As far as the source tells without being read; exact for files and frames.
    rows: int | None
    #: Every column with its type and its role; the rows themselves may still rule some out.
    columns: tuple[InputColumn, ...]
    notes: tuple[str, ...]


def train_model(
    request: TrainRequest,
    *,
    open_warehouse: Callable[[], Warehouse],
    open_files: Callable[[], UserFiles],
    registry: Registry,
    steps: Steps,
) -> TrainedModel:
    """Fit on the rows that ``request`` selects, and register the bundle under its name."""
    with _opened(request, open_warehouse=open_warehouse, open_files=open_files, steps=steps) as source:
        choices, roles = _roles(request, source)
        frame = source.read(columns_to_read(roles, ids=choices.keep_out_of_sample), steps=steps)
        if not frame.num_rows:
            raise _no_rows(request, source)
        with steps.step(f"Fitting {choices.model}", total=frame.num_rows) as step:
            fitted = fit_model(
                frame, columns=source.columns, choices=choices, origin=source.origin, on_rows=step.reach
            )
    files = pack(fitted, report=True)
    digest = digest_of(files[MANIFEST_FILE])
    # What this process wrote, it may read; a model that does not come back the same is no use to anybody.
    open_bundle(files, digest=digest, allow_joblib=True)
    with steps.step("Registering the bundle", total=len(files), unit="files") as step:
        registry.register(choices.name, files, digest=digest)
        step.reach(len(files))
    for warning in fitted.warnings:
        steps.note(f"Note: {warning}")
    if request.out_of_sample is not None:
        _write(
            request.out_of_sample,
            fitted,
            digest,
            source.columns,
            open_warehouse=open_warehouse,
            registry=registry,
        )
    return TrainedModel(
        name=choices.name,
        digest=digest,
        manifest=registry.manifest(choices.name, digest),
        metrics=dict(fitted.metrics),
        warnings=(*source.notes, *fitted.warnings),
        notices=fitted.notices,
        rows_out_of_sample=0 if fitted.out_of_sample is None else fitted.out_of_sample.num_rows,
    )


def plan_training(
    request: TrainRequest,
    *,
    open_warehouse: Callable[[], Warehouse],
    open_files: Callable[[], UserFiles],
    steps: Steps,
) -> TrainingPlan:
    """Say what ``request`` would learn from, and refuse what can be refused before a fit."""
    with _opened(request, open_warehouse=open_warehouse, open_files=open_files, steps=steps) as source:
        _, roles = _roles(request, source)
        source.check(columns_to_read(roles))
        if source.rows == 0:
            raise _no_rows(request, source)
        return TrainingPlan(source=source.label, rows=source.rows, columns=roles, notes=source.notes)


@contextmanager
def _opened(
    request: TrainRequest,
    *,
    open_warehouse: Callable[[], Warehouse],
    open_files: Callable[[], UserFiles],
    steps: Steps,
) -> Iterator[TrainingInput]:
    if not 0 <= request.choices.tolerated_unseen <= 1:
        raise UsageError(
            f"The tolerated share must be between 0 and 1, not {request.choices.tolerated_unseen:g}."
        )
    check_model(request.choices)
    if request.out_of_sample is not None:
        check_destination(request.out_of_sample, open_warehouse=open_warehouse)
    with open_input(
        request.input,
        open_warehouse=open_warehouse,
        open_files=open_files,
        id_columns=request.choices.id_columns,
        seed=request.choices.seed,
        steps=steps,
    ) as source:
        for note in source.notes:
            steps.note(f"Note: {note}")
        yield source


def _roles(request: TrainRequest, source: TrainingInput) -> tuple[FitChoices, tuple[InputColumn, ...]]:
    choices = with_found_columns(request.choices, source.columns, source=source.label)
    return choices, assign_roles(source.columns, choices)


def _no_rows(request: TrainRequest, source: TrainingInput) -> Refused:
    which = f"{source.label} has no rows" + (" under --where" if request.input.where else "")
    return Refused(f"{which}, so there is nothing to learn from; train on rows that there are.")


def _write(
    asked: OutOfSampleAsked,
    fitted: FittedBundle,
    digest: str,
    source: Sequence[Column],
    *,
    open_warehouse: Callable[[], Warehouse],
    registry: Registry,
) -> None:
    """Write the out-of-sample rows of a model that is registered by now."""
    model = f"{fitted.manifest.name}@{digest[:12]}"
    kept = f"The model is registered as {model}, but its out-of-sample rows were not written"
    if fitted.out_of_sample is None:
        raise Refused(f"{kept}: {fitted.metrics.get('skipped', 'nothing was held out')}.")
    try:
        write_out_of_sample(
            asked,
            fitted.out_of_sample,
            source=source,
            outputs=fitted.manifest.outputs,
            model=model,
            open_warehouse=open_warehouse,
            as_parts=partial(registry.rows_of, fitted.manifest.name, digest),
        )
    except SkfleetError as error:
        raise type(error)(f"{kept}: {error}") from error
