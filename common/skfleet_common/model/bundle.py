"""Bundle: a fitted model and its manifest as files, packed once and verified whenever it is opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from skfleet_common.contracts.errors import BundleRefused, NotReproducibleHere, UsageError
from skfleet_common.contracts.kinds import METHODS, Kind
from skfleet_common.contracts.shapes import NewerShape, UnreadableShape
from skfleet_common.model.estimators.fitting import blaming
from skfleet_common.model.fit import FittedBundle
from skfleet_common.model.golden import replay
from skfleet_common.model.inputs import is_of_kind
from skfleet_common.model.manifest import BundleFile, FeatureManifest
from skfleet_common.model.model_file import ModelFormat, check_format, dump_model, load_model
from skfleet_common.model.offers import lacks
from skfleet_common.model.scoring import Scored, Scorer
from skfleet_common.model.sketch import Sketcher
from skfleet_common.model.versions import check_versions

MANIFEST_FILE = "manifest.json"
MODEL_FILE = ModelFormat.SKOPS.file
GOLDEN_FILE = "golden.parquet"
METRICS_FILE = "metrics.json"
REPORT_FILE = "report.html"

#: What a manifest lists beside these and the model's file: nothing else, and not always that.
_OPTIONAL_FILES = frozenset({REPORT_FILE})


class Bundle:
    """A verified model: scores batches as they are read, and data frames."""

    def __init__(self, manifest: FeatureManifest, pipeline: Any, *, digest: str, warnings: list[str]) -> None:
        self.manifest = manifest
        self.digest = digest
        #: What differs from where the bundle was made, under a lenient skew policy.
        self.warnings = warnings
        #: The model itself. One that skfleet trained is a pipeline, and takes the frame that
        #: ``preprocessing.source_frame`` makes; one that was registered takes what it was fitted on.
        self.pipeline = pipeline
        #: Counts scored rows for :mod:`~skfleet_common.model.shift`; None where nothing tells of training.
        self.sketcher = Sketcher.of(manifest)
        self._scorer = Scorer(
            pipeline,
            features=manifest.features,
            targets=manifest.targets,
            outputs=manifest.outputs,
            more=manifest.more_outputs,
            takes=manifest.takes,
            dtype=manifest.feature_dtype,
        )

    @property
    def classes_(self) -> tuple[Any, ...]:
        """The classes in the order of ``predict_proba``'s columns; empty for a regression."""
        classes = self.manifest.target.classes
        return () if classes is None else classes.values

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[Any]:
        """Give one prediction a row of ``frame``, whose columns may come in any order.

        Raises:
            Refused: the frame lacks a column, or the model cannot score a row of it.
        """
        with blaming(f"The model {self.manifest.name}", "asked for predictions"):
            return self._scorer.predictor.predict(self._scorer.features(frame))

    def predict_proba(self, frame: pd.DataFrame) -> Any:
        """Give class probabilities, a column a class of ``manifest.target.classes``.

        Raises:
            Refused: as :meth:`predict`.
            UsageError: the model has none.
        """
        with blaming(f"The model {self.manifest.name}", "asked for probabilities"):
            return self._scorer.predictor.predict_proba(self._scorer.features(frame))

    def decision_function(self, frame: pd.DataFrame) -> npt.NDArray[Any]:
        """Give signed distances: one a row of two classes or of outliers, a column a class of more.

        Raises:
            UsageError: the model has none.
        """
        decisions = self._of_kind(frame, Kind.DECISION)
        return decisions[:, 0] if decisions.shape[1] == 1 else decisions

    def transform(self, frame: pd.DataFrame) -> npt.NDArray[Any]:
        """Give what the model makes of each row, a column a component.

        Raises:
            UsageError: it makes nothing.
        """
        return self._of_kind(frame, Kind.TRANSFORMED)

    def features(self, frame: pd.DataFrame) -> Any:
        """Give what the model is called with: the feature array, unless it was registered."""
        return self._scorer.features(frame)

    def score(
        self,
        batch: pa.RecordBatch | pa.Table,
        names: Collection[str] | None = None,
        *,
        sketcher: Sketcher | None = None,
    ) -> Scored:
        """Score rows as a reader gives them; ``names`` are the outputs to give, else the usual ones."""
        return self._scorer.score(batch, names, sketcher=sketcher)

    def replay(self, golden: bytes) -> None:
        """Score the golden rows again and refuse the bundle if it cannot be reproduced here."""
        replay(golden, self._scorer, tolerance=self.manifest.tolerance)

    def _of_kind(self, frame: pd.DataFrame, kind: Kind) -> npt.NDArray[Any]:
        names = [column.name for column in self.manifest.all_outputs if column.source == kind]
        if not names:
            raise UsageError(lacks(self.manifest, kind))
        with blaming(f"The model {self.manifest.name}", f"asked for {METHODS[kind]}"):
            outputs = self._scorer.outputs(self._scorer.features(frame), names)
        return np.column_stack([outputs.column(name).to_numpy() for name in names])


def pack(fitted: FittedBundle, *, report: bool = False) -> dict[str, bytes]:
    """Give the files of a bundle by name; the bundle's digest is :func:`digest_of` its manifest.

    ``report``: with the page for people.
    """
    written = ModelFormat(fitted.manifest.format)
    model = dump_model(fitted.pipeline, written)
    files = {
        written.file: model,
        GOLDEN_FILE: fitted.golden,
        METRICS_FILE: json.dumps(fitted.metrics | _said(fitted), sort_keys=True).encode(),
    }
    if report:
        # Plots need matplotlib, which nothing that scores must load.
        from skfleet_common.model.report.page import render_report  # noqa: PLC0415

        files[REPORT_FILE] = render_report(fitted.manifest, fitted.metrics, notes=fitted.warnings)
    manifest = fitted.manifest.model_copy(
        update={
            "hints": fitted.manifest.hints.model_copy(update={"model_bytes": len(model)}),
            "files": tuple(
                BundleFile(name=name, size=len(raw), sha256=hashlib.sha256(raw).hexdigest())
                for name, raw in files.items()
            ),
        }
    )
    return {MANIFEST_FILE: manifest.to_json(), **files}


def _said(fitted: FittedBundle) -> dict[str, Any]:
    return {"notes": fitted.warnings, "notices": [asdict(notice) for notice in fitted.notices]}


def digest_of(manifest: bytes) -> str:
    """Give the digest of the bundle with this manifest.json."""
    return hashlib.sha256(manifest).hexdigest()


def open_bundle(
    files: Mapping[str, bytes] | Path, *, digest: str, replay: bool = True, allow_joblib: bool = False
) -> Bundle:
    """Open the bundle with this digest from its files or their folder.

    Every byte is checked against the digest, and the versions against the skew policy, before anything
    is deserialised. ``allow_joblib``: this side has opted in to pickles.

    Raises:
        BundleRefused: it is not that bundle, or cannot be trusted.
        NotReproducibleHere: it is that bundle, but this host's versions or settings are not those that it
            wants.
    """
    read = _reader(files)
    manifest = read_manifest(read(MANIFEST_FILE), digest=digest)
    raw = {file.name: check_file(read(file.name), file) for file in needed_files(manifest, digest=digest)}
    check_format(manifest.format, allow_joblib=allow_joblib)
    warnings = check_versions(manifest.versions, policy=manifest.skew_policy)
    model_file = raw[ModelFormat(manifest.format).file]
    try:
        pipeline = load_model(model_file, manifest.format, allow_joblib=allow_joblib)
    except BundleRefused as exc:
        if not warnings:
            raise
        raise NotReproducibleHere(
            f"The bundle's skew policy is {manifest.skew_policy}, but its model cannot be read here: it "
            f"{warnings[0].removeprefix('The bundle ').rstrip('.')}; install those versions here, or train "
            "it again."
        ) from exc
    if not is_of_kind(pipeline, manifest.takes):
        raise BundleRefused("The bundle's model is not a pipeline of features and model; train it again.")
    try:
        bundle = Bundle(manifest, pipeline, digest=digest, warnings=warnings)
    except Exception as exc:
        # A manifest that was made for another model may fail anywhere in this one.
        raise BundleRefused("The bundle's model and manifest do not fit each other; train it again.") from exc
    if replay:
        bundle.replay(raw[GOLDEN_FILE])
    return bundle


def read_manifest(raw: bytes, *, digest: str) -> FeatureManifest:
    """Give the manifest that ``raw`` holds, if it is that of the bundle with this digest."""
    if digest_of(raw) != digest:
        raise BundleRefused(
            f"The bundle's {MANIFEST_FILE} does not have the digest {digest[:12]}: it was altered or is "
            "another bundle's; fetch it again, or train it again."
        )
    try:
        return FeatureManifest.from_json(raw)
    except NewerShape as exc:
        raise NotReproducibleHere(f"The bundle's {MANIFEST_FILE} cannot be read here: {exc}") from exc
    except UnreadableShape as exc:
        raise BundleRefused(f"The bundle's {MANIFEST_FILE} cannot be read: {exc}") from exc


def needed_files(manifest: FeatureManifest, *, digest: str) -> tuple[BundleFile, ...]:
    """Give the files that opening reads, if the manifest lists those of a bundle; a report is not read.

    Raises:
        BundleRefused: it lists others, or lacks one. A name that comes from elsewhere never becomes a path.
    """
    model = f"model.{manifest.format}" if manifest.format in set(ModelFormat) else MODEL_FILE
    needed = {model, GOLDEN_FILE, METRICS_FILE}
    listed = {file.name: file for file in manifest.files}
    if len(listed) != len(manifest.files) or not needed <= set(listed) <= needed | _OPTIONAL_FILES:
        raise BundleRefused(f"The bundle {digest[:12]} does not list the files of a bundle; train it again.")
    return tuple(file for file in manifest.files if file.name in needed)


def check_file(raw: bytes, listed: BundleFile) -> bytes:
    """Give the bytes back if they are those that the manifest lists.

    Raises:
        BundleRefused: they are not.
    """
    if len(raw) != listed.size or hashlib.sha256(raw).hexdigest() != listed.sha256:
        raise BundleRefused(
            f"The bundle's {listed.name} was altered after it was packed; fetch it again, or train it again."
        )
    return raw


def _reader(files: Mapping[str, bytes] | Path) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        try:
            return (files / name).read_bytes() if isinstance(files, Path) else files[name]
        except (KeyError, FileNotFoundError) as exc:
            raise BundleRefused(f"The bundle has no {name}; fetch it again, or train it again.") from exc

    return read
