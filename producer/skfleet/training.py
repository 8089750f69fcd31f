"""Training: rows from the warehouse into memory, a fit, and the bundle into the registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from skfleet.preflight import find_column, find_columns, names_of
from skfleet.progress import Steps
from skfleet.registry import Registry
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.contracts.names import check_name
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, pack
from skfleet_common.model.choices import FitChoices, Origin
from skfleet_common.model.fit import fit_model
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.policies import DEFAULT_TOLERATED_UNSEEN
from skfleet_common.model.roles import assign_roles, columns_to_read
from skfleet_common.tables.port import Selection, SourceBatch, Warehouse


@dataclass(frozen=True)
class TrainRequest:
    """What a user asks to be trained."""

    table: str
    target: str
    name: str
    id_columns: tuple[str, ...]
    model: str
    where: str | None = None
    exclude: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    null_policy: dict[str, str] = field(default_factory=dict)
    unseen_policy: dict[str, str] = field(default_factory=dict)
    tolerated_unseen: float = DEFAULT_TOLERATED_UNSEEN
    seed: int = 0


@dataclass(frozen=True)
class TrainedModel:
    """A registered bundle and what its training has to say."""

    name: str
    digest: str
    manifest: FeatureManifest
    metrics: dict[str, Any]
    warnings: tuple[str, ...]


def train_model(
    request: TrainRequest, *, warehouse: Warehouse, registry: Registry, steps: Steps
) -> TrainedModel:
    """Fit on the rows that ``request`` selects, and register the bundle under its name."""
    check_name("model", request.name)
    if not 0 <= request.tolerated_unseen <= 1:
        raise UsageError(f"The tolerated share must be between 0 and 1, not {request.tolerated_unseen:g}.")
    table = warehouse.catalogue.find_table(request.table)
    target = find_column(table, request.target, flag="--target")
    ids = names_of(find_columns(table, request.id_columns, flag="--id-column"))
    exclude = names_of(find_columns(table, request.exclude, flag="--exclude"))
    categorical = names_of(find_columns(table, request.categorical, flag="--categorical"))
    where = warehouse.catalogue.check_where(table, request.where) if request.where is not None else None
    choices = FitChoices(
        targets=(target.name,),
        model=request.model,
        name=request.name,
        id_columns=tuple(ids),
        exclude=tuple(exclude),
        categorical=tuple(categorical),
        null_policy=request.null_policy,
        unseen_policy=request.unseen_policy,
        tolerated_unseen=request.tolerated_unseen,
        seed=request.seed,
    )
    roles = assign_roles(table.columns, choices)
    source = Selection(table=table, where=where)
    frame = _read(source, columns_to_read(roles), warehouse=warehouse, steps=steps)
    if not frame.num_rows:
        which = f"{table.name} has no rows" + (" under --where" if where else "")
        raise Refused(f"{which}, so there is nothing to learn from; train on a table that has some.")
    with steps.step(f"Fitting {request.model}", total=frame.num_rows) as step:
        fitted = fit_model(
            frame,
            columns=table.columns,
            choices=choices,
            origin=Origin(source=str(table.name), where=where),
            on_rows=step.reach,
        )
    files = pack(fitted)
    digest = digest_of(files[MANIFEST_FILE])
    with steps.step("Registering the bundle", total=len(files), unit="files") as step:
        registry.register(request.name, files, digest=digest)
        step.reach(len(files))
    for warning in fitted.warnings:
        steps.note(f"Note: {warning}")
    return TrainedModel(
        name=request.name,
        digest=digest,
        manifest=registry.manifest(request.name, digest),
        metrics=dict(fitted.metrics),
        warnings=tuple(fitted.warnings),
    )


def _read(source: Selection, columns: list[str], *, warehouse: Warehouse, steps: Steps) -> pa.Table:
    """Give all selected rows; the bar's total is the warehouse's own estimate."""
    batches: list[pa.RecordBatch] = []
    rows = 0
    with steps.step("Reading training rows", total=source.table.estimated_rows or None) as step:
        for batch in warehouse.reader.read(source, features=columns):
            _refuse_unreadable(batch, source)
            batches.append(batch.features)
            rows += batch.features.num_rows
            step.reach(rows)
        step.reach(rows, rows)
    return pa.Table.from_batches(batches) if batches else pa.table({name: pa.array([]) for name in columns})


def _refuse_unreadable(batch: SourceBatch, source: Selection) -> None:
    """Refuse rows from which nothing can be learned, and which nobody asked to leave out."""
    for reason in batch.unreadable.values():
        raise Refused(
            f"{source.table.name} has a row whose {reason}; make it NULL, or leave the column out with "
            "--exclude or the row with --where."
        )
