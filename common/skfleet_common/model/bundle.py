"""Bundle: a fitted model and its manifest as files, packed once and verified whenever it is opened."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import skops.io
from sklearn.pipeline import Pipeline

from skfleet_common.contracts.errors import BundleRefused, NotReproducibleHere, shown
from skfleet_common.contracts.shapes import NewerShape, UnreadableShape
from skfleet_common.model.allowlist import load_model
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.fit import FittedBundle
from skfleet_common.model.golden import replay
from skfleet_common.model.manifest import BundleFile, FeatureManifest
from skfleet_common.model.scoring import FEATURES_STEP, MODEL_STEP, Scored, Scorer
from skfleet_common.model.versions import check_versions

MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.skops"
GOLDEN_FILE = "golden.parquet"
METRICS_FILE = "metrics.json"

#: What a manifest lists: these files, and no other.
LISTED_FILES = (MODEL_FILE, GOLDEN_FILE, METRICS_FILE)


class Bundle:
    """A verified model: scores batches as they are read, and data frames."""

    def __init__(
        self, manifest: FeatureManifest, pipeline: Pipeline, *, digest: str, warnings: list[str]
    ) -> None:
        self.manifest = manifest
        self.digest = digest
        #: What differs from where the bundle was made, under a lenient skew policy.
        self.warnings = warnings
        #: The scikit-learn pipeline itself; it takes the frame that ``preprocessing.source_frame`` makes.
        self.pipeline = pipeline
        self._scorer = Scorer(
            pipeline,
            features=manifest.features,
            target=manifest.target,
            outputs=manifest.outputs,
            dtype=manifest.feature_dtype,
        )

    @property
    def classes_(self) -> tuple[Any, ...]:
        """The classes in the order of ``predict_proba``'s columns; empty for a regression."""
        classes = self.manifest.target.classes
        return () if classes is None else classes.values

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[Any]:
        """Give one prediction a row of ``frame``, whose columns may come in any order."""
        return self._scorer.predictor.predict(self._scorer.features(frame))

    def predict_proba(self, frame: pd.DataFrame) -> FloatArray:
        """Give class probabilities, a column a class of ``manifest.target.classes``."""
        return self._scorer.predictor.predict_proba(self._scorer.features(frame))

    def features(self, frame: pd.DataFrame) -> FloatArray:
        """Give the feature array, a column a ``manifest.transformed``."""
        return self._scorer.features(frame)

    def score(self, batch: pa.RecordBatch | pa.Table) -> Scored:
        """Score rows as a reader gives them."""
        return self._scorer.score(batch)

    def replay(self, golden: bytes) -> None:
        """Score the golden rows again and refuse the bundle if it cannot be reproduced here."""
        replay(golden, self._scorer, tolerance=self.manifest.tolerance)


def pack(fitted: FittedBundle) -> dict[str, bytes]:
    """Give the files of a bundle by name; the bundle's digest is :func:`digest_of` its manifest."""
    model = skops.io.dumps(fitted.pipeline, compression=zipfile.ZIP_DEFLATED)
    files = {
        MODEL_FILE: model,
        GOLDEN_FILE: fitted.golden,
        METRICS_FILE: json.dumps(fitted.metrics, sort_keys=True).encode(),
    }
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


def digest_of(manifest: bytes) -> str:
    """Give the digest of the bundle with this manifest.json."""
    return hashlib.sha256(manifest).hexdigest()


def open_bundle(files: Mapping[str, bytes] | Path, *, digest: str, replay: bool = True) -> Bundle:
    """Open the bundle with this digest from its files or their folder.

    Every byte is checked against the digest, and the versions against the skew policy, before anything
    is deserialised.

    Raises:
        BundleRefused: it is not that bundle, or cannot be trusted.
        NotReproducibleHere: it is that bundle, but this host's versions are not those that it wants.
    """
    read = _reader(files)
    manifest = read_manifest(read(MANIFEST_FILE), digest=digest)
    listed = {file.name: file for file in manifest.files}
    if sorted(listed) != sorted(LISTED_FILES):
        raise BundleRefused(f"The bundle {digest[:12]} does not list the files of a bundle; train it again.")
    raw = {name: _checked(read(name), listed[name]) for name in LISTED_FILES}
    if manifest.format != "skops":
        raise BundleRefused(
            f"The bundle's format is {shown(manifest.format)}, but only skops is read here; train it again."
        )
    warnings = check_versions(manifest.versions, policy=manifest.skew_policy)
    pipeline = load_model(raw[MODEL_FILE])
    if not isinstance(pipeline, Pipeline) or list(pipeline.named_steps) != [FEATURES_STEP, MODEL_STEP]:
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


def _checked(raw: bytes, listed: BundleFile) -> bytes:
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
