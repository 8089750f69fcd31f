"""Training: rows into memory, a fit, and the bundle into the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skfleet.fit_keywords import with_found_columns
from skfleet.inputs.opening import open_input
from skfleet.progress import Steps
from skfleet.registry import Registry
from skfleet.train_request import TrainRequest
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, pack
from skfleet_common.model.fit import fit_model
from skfleet_common.model.manifest import FeatureManifest
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


def train_model(
    request: TrainRequest,
    *,
    open_warehouse: Callable[[], Warehouse],
    registry: Registry,
    steps: Steps,
) -> TrainedModel:
    """Fit on the rows that ``request`` selects, and register the bundle under its name."""
    if not 0 <= request.choices.tolerated_unseen <= 1:
        raise UsageError(
            f"The tolerated share must be between 0 and 1, not {request.choices.tolerated_unseen:g}."
        )
    source = open_input(request.input, open_warehouse=open_warehouse, steps=steps)
    choices = with_found_columns(request.choices, source.columns, source=source.label)
    roles = assign_roles(source.columns, choices)
    frame = source.read(columns_to_read(roles), steps=steps)
    if not frame.num_rows:
        which = f"{source.label} has no rows" + (" under --where" if request.input.where else "")
        raise Refused(f"{which}, so there is nothing to learn from; train on a table that has some.")
    with steps.step(f"Fitting {choices.model}", total=frame.num_rows) as step:
        fitted = fit_model(
            frame, columns=source.columns, choices=choices, origin=source.origin, on_rows=step.reach
        )
    files = pack(fitted, report=True)
    digest = digest_of(files[MANIFEST_FILE])
    with steps.step("Registering the bundle", total=len(files), unit="files") as step:
        registry.register(choices.name, files, digest=digest)
        step.reach(len(files))
    for warning in fitted.warnings:
        steps.note(f"Note: {warning}")
    return TrainedModel(
        name=choices.name,
        digest=digest,
        manifest=registry.manifest(choices.name, digest),
        metrics=dict(fitted.metrics),
        warnings=tuple(fitted.warnings),
    )
