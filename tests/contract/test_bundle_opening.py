"""A bundle opens only where every byte, version and type is right and its golden rows come out again."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from model_samples import CITY, as_driver_gives, fit_shop, shop_rows
from skfleet_common.contracts.errors import BundleRefused
from skfleet_common.model.allowlist import ALLOWED_TYPES
from skfleet_common.model.bundle import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    MODEL_FILE,
    digest_of,
    open_bundle,
    pack,
)
from skfleet_common.model.manifest import BundleFile, FeatureManifest

MODELS = [
    ("gradient_boosting", "returned"),
    ("gradient_boosting", "shelf"),
    ("gradient_boosting", "amount"),
    ("random_forest", CITY),
    ("random_forest", "amount"),
    ("extra_trees", "returned"),
    ("extra_trees", "amount"),
    ("logistic_regression", "returned"),
    ("logistic_regression", CITY),
    ("linear_regression", "amount"),
    ("ridge", "amount"),
]


@functools.cache
def _files() -> dict[str, bytes]:
    return pack(fit_shop())


def _digest(files: dict[str, bytes]) -> str:
    return digest_of(files[MANIFEST_FILE])


def _resealed(files: dict[str, bytes], **manifest_changes: Any) -> dict[str, bytes]:
    """Give the files with a manifest that lists them as they are: what a forger would do."""
    listed = [
        BundleFile(name=name, size=len(raw), sha256=digest_of(raw))
        for name, raw in files.items()
        if name != MANIFEST_FILE
    ]
    manifest = FeatureManifest.from_json(files[MANIFEST_FILE])
    changed = manifest.model_copy(update={"files": tuple(listed), **manifest_changes})
    return {**files, MANIFEST_FILE: changed.to_json()}


@pytest.fixture
def deserialised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record every call that would read a skops file, and fail it."""
    # Packing looks at what it wrote.
    _files()
    calls: list[str] = []
    for name in ("loads", "load", "get_untrusted_types"):

        def record(*_: object, name: str = name, **__: object) -> None:
            calls.append(name)
            raise AssertionError(name)

        monkeypatch.setattr(skops.io, name, record)
    monkeypatch.setattr(pq, "read_table", lambda *_, **__: calls.append("parquet"))
    return calls


@pytest.mark.parametrize(("model", "target"), MODELS)
def test_every_model_of_every_target_opens_again_and_scores_the_same(model: str, target: str) -> None:
    fitted = fit_shop(model=model, target=target)
    files = pack(fitted)
    bundle = open_bundle(files, digest=_digest(files))
    table = shop_rows(100, seed=1)
    X = bundle.features(as_driver_gives(table))
    expected = fitted.pipeline.named_steps["model"].predict(X)
    assert np.array_equal(bundle.predict(as_driver_gives(table)), expected)
    assert set(skops.io.get_untrusted_types(data=files[MODEL_FILE])) <= ALLOWED_TYPES


@pytest.mark.parametrize("model", ["gradient_boosting", "logistic_regression"])
def test_another_process_opens_the_folder_and_scores_the_same_bits(tmp_path: Path, model: str) -> None:
    files = pack(fit_shop(model=model))
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    table = shop_rows(100, seed=1)
    pq.write_table(table, tmp_path / "rows.parquet")
    program = (
        "import sys, pathlib, pyarrow.parquet as pq\n"
        "from skfleet_common.model.bundle import open_bundle\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "bundle = open_bundle(folder, digest=sys.argv[2])\n"
        "outputs = bundle.score(pq.read_table(folder / 'rows.parquet')).outputs\n"
        "print(outputs.column('proba_true').to_numpy().tobytes().hex())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path), _digest(files)],
        check=True,
        capture_output=True,
        text=True,
    )
    here = open_bundle(files, digest=_digest(files)).score(table).outputs.column("proba_true").to_numpy()
    assert ran.stdout.strip() == here.tobytes().hex()


@settings(max_examples=60)
@given(file=st.sampled_from([MANIFEST_FILE, MODEL_FILE, GOLDEN_FILE, METRICS_FILE]), data=st.data())
def test_one_altered_byte_anywhere_is_refused_before_anything_is_deserialised(
    file: str, data: st.DataObject
) -> None:
    files = _files()
    raw = bytearray(files[file])
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.MonkeyPatch.context() as patch:
        calls: list[str] = []
        patch.setattr(skops.io, "loads", lambda *_, **__: calls.append("loads"))
        patch.setattr(skops.io, "get_untrusted_types", lambda *_, **__: calls.append("types"))
        with pytest.raises(BundleRefused, match=file):
            open_bundle({**files, file: bytes(raw)}, digest=_digest(files))
    assert calls == []


def test_a_model_file_that_grew_is_refused_unread(deserialised: list[str]) -> None:
    files = _files()
    with pytest.raises(BundleRefused, match=r"model\.skops was altered"):
        open_bundle({**files, MODEL_FILE: files[MODEL_FILE] + b" "}, digest=_digest(files))
    assert deserialised == []


def test_another_bundle_of_the_same_name_is_refused_unread(deserialised: list[str]) -> None:
    with pytest.raises(BundleRefused, match="does not have the digest 000000000000"):
        open_bundle(_files(), digest="0" * 64)
    assert deserialised == []


@pytest.mark.parametrize("file", [MANIFEST_FILE, MODEL_FILE, GOLDEN_FILE, METRICS_FILE])
def test_a_missing_file_is_refused_by_name(deserialised: list[str], file: str) -> None:
    files = {name: raw for name, raw in _files().items() if name != file}
    with pytest.raises(BundleRefused, match=f"The bundle has no {file}"):
        open_bundle(files, digest=_digest(_files()))
    assert deserialised == []


def test_only_listed_files_are_read(tmp_path: Path) -> None:
    files = _files()
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "model.joblib").write_bytes(b"not looked at")
    assert open_bundle(tmp_path, digest=_digest(files)).digest == _digest(files)
    forged = _resealed({**files, "../outside": b"x"})
    with pytest.raises(BundleRefused, match="does not list the files of a bundle"):
        open_bundle(forged, digest=_digest(forged))


def test_a_bundle_of_another_scikit_learn_is_refused_unread(deserialised: list[str]) -> None:
    versions = FeatureManifest.from_json(_files()[MANIFEST_FILE]).versions
    files = _resealed(_files(), versions={**versions, "scikit-learn": "1.3.2"})
    with pytest.raises(
        BundleRefused, match=r"made with scikit-learn 1\.3\.2, but here is .* install scikit-learn"
    ):
        open_bundle(files, digest=_digest(files))
    assert deserialised == []


def test_a_manifest_of_a_newer_skfleet_is_refused() -> None:
    newer = json.dumps({**json.loads(_files()[MANIFEST_FILE]), "schema_version": 4}).encode()
    with pytest.raises(BundleRefused, match="schema version 4, but this skfleet reads up to 3"):
        open_bundle({**_files(), MANIFEST_FILE: newer}, digest=digest_of(newer))


def test_a_model_that_holds_a_foreign_function_is_refused_unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = Pipeline([("features", FunctionTransformer(func=subprocess.getoutput)), ("model", None)])
    files = _resealed({**_files(), MODEL_FILE: skops.io.dumps(evil)})
    monkeypatch.setattr(skops.io, "loads", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(BundleRefused, match=r"holds subprocess\.getoutput, which is not on the allow-list"):
        open_bundle(files, digest=_digest(files))


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"\x80\x04."])
def test_a_model_that_is_no_skops_file_is_refused(raw: bytes) -> None:
    files = _resealed({**_files(), MODEL_FILE: raw})
    with pytest.raises(BundleRefused, match="no file that skops can read"):
        open_bundle(files, digest=_digest(files))


def test_a_model_that_is_no_pipeline_is_refused() -> None:
    files = _resealed({**_files(), MODEL_FILE: skops.io.dumps([1, 2])})
    with pytest.raises(BundleRefused, match="not a pipeline of features and model"):
        open_bundle(files, digest=_digest(files))


def test_another_model_behind_the_same_golden_rows_is_refused() -> None:
    other = pack(fit_shop(shop_rows(seed=77)))
    files = _resealed({**_files(), MODEL_FILE: other[MODEL_FILE]})
    with pytest.raises(BundleRefused, match="comes out differently here than in training"):
        open_bundle(files, digest=_digest(files))


@pytest.mark.parametrize("prefix", ["feature.0", "output.proba_true", "output.prediction"])
def test_a_golden_row_that_comes_out_differently_is_refused(prefix: str) -> None:
    table = pq.read_table(pa.BufferReader(_files()[GOLDEN_FILE]))
    values = table.column(prefix).to_pylist()
    values[0] = (not values[0]) if isinstance(values[0], bool) else float(np.nextafter(values[0] or 0.0, 9e9))
    changed = table.set_column(
        table.schema.get_field_index(prefix), prefix, pa.array(values, table.schema.field(prefix).type)
    )
    sink = pa.BufferOutputStream()
    pq.write_table(changed, sink)
    files = _resealed({**_files(), GOLDEN_FILE: sink.getvalue().to_pybytes()})
    with pytest.raises(BundleRefused, match="comes out differently here than in training"):
        open_bundle(files, digest=_digest(files))


def test_golden_rows_hold_a_null_and_the_edges_of_every_feature() -> None:
    fitted = fit_shop()
    golden = pq.read_table(pa.BufferReader(fitted.golden))
    assert golden.num_rows <= 64
    for feature in fitted.manifest.features:
        values = golden.column(f"input.{feature.column}")
        assert values.null_count > 0
        if feature.levels is not None:
            assert {feature.levels.values[0], feature.levels.values[-1]} <= set(values.to_pylist())
        elif not feature.parts and feature.observed is not None:
            known = [float(value) for value in values.to_pylist() if value is not None]
            assert (min(known), max(known)) == feature.observed
