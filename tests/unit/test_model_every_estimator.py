"""Every classifier and regressor of scikit-learn trains, and scores the same in a fresh process."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.estimator_census import census_rows, fit_census

from skfleet_common.model.bundle import pack
from skfleet_common.model.estimators.asked import known_classes
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.scoring import Scorer

ROOT = Path(__file__).parents[2]
TABLES = runpy.run_path(str(ROOT / "docs" / "estimators_table.py"))


def test_every_estimator_scores_the_same_in_a_fresh_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = census_rows()
    pq.write_table(table, tmp_path / "rows.parquet")
    manifests: dict[str, FeatureManifest] = {}
    for name in known_classes():
        folder = tmp_path / name
        folder.mkdir()
        with warnings.catch_warnings():
            # Of packing: a class that is deprecated says so once more.
            warnings.simplefilter("ignore", FutureWarning)
            fitted = fit_census(name, table)
            for file, raw in pack(fitted).items():
                (folder / file).write_bytes(raw)
        manifests[name] = fitted.manifest
        pq.write_table(_scored_here(fitted.pipeline, fitted.manifest, table), folder / "here.parquet")
    subprocess.run(
        [sys.executable, "-m", "tests.estimator_census", str(tmp_path)],
        check=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        timeout=120,
    )
    differences = {name: _difference(tmp_path / name) for name in manifests}
    with capsys.disabled():
        print(f"\n{'estimator':32}{'outputs':>8}{'allowed':>9}{'differs by':>12}")  # noqa: T201
        for name, manifest in manifests.items():
            figures = f"{len(manifest.outputs):>8}{manifest.tolerance:>9.0e}{differences[name]:>12.1e}"
            print(f"{name:32}{figures}")  # noqa: T201
    assert len(manifests) == len(known_classes())
    assert not {name for name, manifest in manifests.items() if differences[name] > manifest.tolerance}
    assert {name: _said(manifest) for name, manifest in manifests.items()} == TABLES["answers_of_classes"]()


def test_the_page_on_estimators_lists_what_the_code_says() -> None:
    page = (ROOT / "docs" / "estimators.md").read_text("utf-8")
    assert TABLES["estimators_as_they_should_be"]() == page


def _scored_here(pipeline: object, manifest: FeatureManifest, table: pa.Table) -> pa.Table:
    scorer = Scorer(
        pipeline,
        features=manifest.features,
        targets=manifest.targets,
        outputs=manifest.outputs,
        takes=manifest.takes,
        dtype=manifest.feature_dtype,
    )
    return pa.Table.from_batches([scorer.score(table).outputs])


def _difference(folder: Path) -> float:
    """Give the largest difference of a number, relative to the largest number of its column."""
    here, again = pq.read_table(folder / "here.parquet"), pq.read_table(folder / "again.parquet")
    assert here.schema == again.schema
    worst = 0.0
    for name in here.schema.names:
        left, right = here.column(name), again.column(name)
        if not pa.types.is_floating(left.type):
            assert left.equals(right), f"{folder.name} {name}"
            continue
        size = np.abs(left.to_numpy()).max()
        worst = max(worst, float(np.abs(left.to_numpy() - right.to_numpy()).max() / size) if size else 0.0)
    return worst


def _said(manifest: FeatureManifest) -> str:
    sources = {column.source for column in manifest.outputs} - {"prediction"}
    return sources.pop() if sources else "prediction"
