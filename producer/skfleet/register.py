"""Registering a model that was fitted elsewhere: with a sample it gets a manifest and golden rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from skfleet.inputs.opening import open_input
from skfleet.model_source import read_model_file
from skfleet.naming import find_column, find_columns, names_of
from skfleet.progress import Steps
from skfleet.register_request import SAMPLE_ROWS, RegisterRequest
from skfleet.registry import Registry
from skfleet.training import TrainedModel
from skfleet_common.aws.user_files import UserFiles
from skfleet_common.contracts.columns import Column
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, open_bundle, pack
from skfleet_common.model.choices import Origin
from skfleet_common.model.model_file import ModelFormat
from skfleet_common.model.registration import describe_model
from skfleet_common.model.sample_columns import Registration
from skfleet_common.tables.port import Warehouse

#: Workers download a model once a host, and hold it in memory once a host; beyond this, that is felt.
LARGE_MODEL_BYTES = 500_000_000


def register_model(
    request: RegisterRequest,
    *,
    open_warehouse: Callable[[], Warehouse],
    open_files: Callable[[], UserFiles],
    registry: Registry,
    allow_joblib: bool,
    steps: Steps,
) -> TrainedModel:
    """Give the model a manifest and golden rows from the sample, and register the bundle.

    Raises:
        Refused: model and sample do not make a bundle that every worker can reproduce.
    """
    model, named = _model_of(request, trust=request.trust or allow_joblib)
    with open_input(
        request.input,
        open_warehouse=open_warehouse,
        open_files=open_files,
        id_columns=request.asked.id_columns,
        steps=steps,
    ) as source:
        asked = _with_found_columns(request.asked, source.columns, source=source.label)
        readable = [column for column in source.columns if column.name not in asked.id_columns]
        sample = source.read([column.name for column in readable], steps=steps).slice(0, SAMPLE_ROWS)
    with steps.step("Trying the model on the sample", total=sample.num_rows) as step:
        origin = Origin(source=f"registered with {source.origin.source}", where=source.origin.where)
        described = describe_model(
            model,
            sample,
            columns=source.columns,
            asked=replace(asked, categories=_categories(request.input.frame)),
            origin=origin,
            named=named,
        )
        step.reach(sample.num_rows)
    files = pack(described, report=True)
    digest = digest_of(files[MANIFEST_FILE])
    # What this process wrote, it may read; a model that does not come back the same is no use to anybody.
    open_bundle(files, digest=digest, allow_joblib=True)
    notes = [*described.warnings, *_notes(registry, asked, files)]
    with steps.step("Registering the bundle", total=len(files), unit="files") as step:
        registry.register(asked.name, files, digest=digest)
        step.reach(len(files))
    for note in notes:
        steps.note(f"Note: {note}")
    return TrainedModel(
        name=asked.name,
        digest=digest,
        manifest=registry.manifest(asked.name, digest),
        metrics=dict(described.metrics),
        warnings=tuple(notes),
    )


def size_note(size: int) -> str | None:
    """Say that a model is large, if it is."""
    if size <= LARGE_MODEL_BYTES:
        return None
    return (
        f"The model's file has {size / 1e6:,.0f} MB; every host downloads it once, and every worker needs "
        "the memory to hold it."
    )


def _model_of(request: RegisterRequest, *, trust: bool) -> tuple[Any, str]:
    """Give the model, and how sentences name it."""
    given = request.model
    if not isinstance(given, str | PathLike):
        return given, "The given object"
    path = Path(given)
    model = read_model_file(path, trust=trust, skew_policy=request.asked.skew_policy)
    return model, path.name


def _notes(registry: Registry, asked: Registration, files: Mapping[str, bytes]) -> list[str]:
    notes = [size_note(len(files[asked.format.file]))]
    if asked.format is ModelFormat.JOBLIB:
        notes.append(
            "The bundle holds a pickle, so workers and clients open it only with SKFLEET_ALLOW_JOBLIB=true."
        )
    if asked.name in registry.models():
        notes.append(
            f"There was a model {asked.name} already; this bundle is its newest now, and the one before "
            f"stays {asked.name}@{registry.latest_digest(asked.name)[:12]}."
        )
    return [note for note in notes if note is not None]


def _with_found_columns(asked: Registration, columns: Sequence[Column], *, source: object) -> Registration:
    """Give what was asked with columns as the sample spells them; it need not have targets."""
    here = {column.name.lower() for column in columns}
    return replace(
        asked,
        targets=tuple(
            find_column(columns, name, flag="--target", source=source).name if name.lower() in here else name
            for name in asked.targets
        ),
        id_columns=names_of(find_columns(columns, asked.id_columns, flag="--id-column", source=source)),
        exclude=names_of(find_columns(columns, asked.exclude, flag="--exclude", source=source)),
    )


def _categories(frame: pd.DataFrame | None) -> dict[str, tuple[Any, ...]]:
    """Give the levels of a frame's categoricals."""
    if frame is None:
        return {}
    kinds = {str(name): dtype for name, dtype in frame.dtypes.items()}
    return {
        name: tuple(kind.categories.tolist())
        for name, kind in kinds.items()
        if isinstance(kind, pd.CategoricalDtype)
    }
