"""Every classifier and regressor of scikit-learn trains, and scores the same in a fresh process."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.estimator_census import census_rows, fit_census, largest_difference, score_afresh

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
    score_afresh(tmp_path)
    differences = {
        name: largest_difference(
            pq.read_table(tmp_path / name / "here.parquet"), pq.read_table(tmp_path / name / "again.parquet")
        )
        for name in manifests
    }
    with capsys.disabled():
        print(f"\n{'estimator':32}{'outputs':>8}{'allowed':>9}{'differs by':>12}  if asked for")  # noqa: T201
        for name, manifest in manifests.items():
            figures = f"{len(manifest.all_outputs):>8}{manifest.tolerance:>9.0e}{differences[name]:>12.1e}"
            print(f"{name:32}{figures}  {', '.join(_asked_for(manifest))}")  # noqa: T201
    assert len(manifests) == len(known_classes())
    assert not {name for name, manifest in manifests.items() if differences[name] > manifest.tolerance}
    assert {name: _said(manifest) for name, manifest in manifests.items()} == TABLES["answers_of_classes"]()
    assert {name: _asked_for(manifest) for name, manifest in manifests.items() if manifest.more_outputs} == {
        name: kinds for name, kinds in TABLES["answers_if_asked"]().items() if kinds
    }


def test_the_page_on_estimators_lists_what_the_code_says() -> None:
    page = (ROOT / "docs" / "estimators.md").read_text("utf-8")
    assert TABLES["estimators_as_they_should_be"]() == page


def _scored_here(pipeline: object, manifest: FeatureManifest, table: pa.Table) -> pa.Table:
    scorer = Scorer(
        pipeline,
        features=manifest.features,
        targets=manifest.targets,
        outputs=manifest.outputs,
        more=manifest.more_outputs,
        takes=manifest.takes,
        dtype=manifest.feature_dtype,
    )
    return pa.Table.from_batches([scorer.score(table, [*scorer.usual, *scorer.further]).outputs])


def _said(manifest: FeatureManifest) -> str:
    sources = {column.source for column in manifest.outputs} - {"prediction"}
    return sources.pop() if sources else "prediction"


def _asked_for(manifest: FeatureManifest) -> list[str]:
    return sorted({column.source for column in manifest.more_outputs})
