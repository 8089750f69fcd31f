"""A stored manifest is read by this version and by the next: it says what it said when it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model_samples import CITY, SHOP_COLUMNS, fit_shop
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.bundle import MANIFEST_FILE, METRICS_FILE, digest_of, pack, read_manifest
from skfleet_common.model.choices import Origin
from skfleet_common.model.manifest import FeatureDtype, FeatureKind, FeatureManifest, Learning, Role
from skfleet_common.model.policies import Fill, NullPolicy, Scale, UnseenPolicy
from skfleet_common.model.preflight import check_source
from skfleet_common.model.versions import SkewPolicy

STORED = Path(__file__).parent / "fixtures" / "bundle" / "manifest_v1.json"
STORED_V2 = STORED.with_name("manifest_v2.json")


def test_a_stored_manifest_says_what_it_said() -> None:
    manifest = FeatureManifest.from_json(STORED.read_bytes())
    assert manifest.schema_version == 1
    assert (manifest.name, manifest.model, manifest.format) == ("shop", "logistic_regression", "skops")
    assert manifest.skew_policy is SkewPolicy.PATCH
    assert manifest.versions["scikit-learn"] == "1.9.1"
    assert {column.role for column in manifest.columns} == {
        Role.KEY,
        Role.FEATURE,
        Role.TARGET,
        Role.EXCLUDED,
    }
    assert manifest.target.learning is Learning.CLASSIFICATION
    features = {feature.column: feature for feature in manifest.features}
    assert features["shelf"].kind is FeatureKind.CATEGORY
    assert features["shelf"].levels is not None
    assert features["shelf"].levels.dtype is LogicalDtype.INTEGER
    assert features["shelf"].levels.values == (-1, 1, 7, 300)
    assert (features["shelf"].nulls, features["shelf"].unseen) == (NullPolicy.REJECT_ROW, UnseenPolicy.ERROR)
    assert features["shelf"].tolerated_unseen == 0.05
    assert features[CITY].levels is not None
    assert features[CITY].levels.values[0] == ""
    assert features["paid"].parts[-1] == "epoch_second"
    assert [column.name for column in manifest.output_columns()] == [
        "prediction",
        "proba_false",
        "proba_true",
    ]
    assert manifest.provenance.source == "public.shop"
    assert len(manifest.provenance.fingerprint) == 64
    assert {file.name for file in manifest.files} == {"model.skops", "golden.parquet", "metrics.json"}


def test_a_stored_manifest_of_version_2_says_what_it_said() -> None:
    manifest = FeatureManifest.from_json(STORED_V2.read_bytes())
    assert manifest.schema_version == 2
    assert manifest.feature_dtype is FeatureDtype.FLOAT32
    features = {feature.column: feature for feature in manifest.features}
    city = features[CITY]
    assert city.rare_levels is not None
    assert city.rare_levels.values == ("Ulm", "東京")
    assert (city.known_levels[0], city.known_levels[-2:]) == ("", ("Ulm", "東京"))
    assert features["opens"].parts == ("hour", "minute", "second_of_day")
    score = features["score"]
    assert (score.fill, score.scale, score.fills) == (Fill.CONSTANT, Scale.ROBUST, (-1.0,))
    assert score.baseline is not None
    assert len(score.baseline.quantiles) == 9
    assert city.baseline is not None
    assert city.baseline.top_levels[0].share > 0.1
    assert check_source(manifest, SHOP_COLUMNS) == []


def test_a_stored_manifest_still_guards_a_table() -> None:
    assert check_source(FeatureManifest.from_json(STORED.read_bytes()), SHOP_COLUMNS) == []


@pytest.mark.parametrize("stored", [STORED, STORED_V2], ids=["1", "2"])
def test_a_stored_manifest_loses_nothing_when_it_is_written_again(stored: Path) -> None:
    raw = stored.read_bytes()
    assert_holds(json.loads(FeatureManifest.from_json(raw).to_json()), json.loads(raw))


def assert_holds(now: Any, then: Any) -> None:
    """Fail unless ``now`` says all that ``then`` says; fields that came since then are nothing lost."""
    if isinstance(then, dict):
        for name, value in then.items():
            assert_holds(now[name], value)
    elif isinstance(then, list):
        for one, other in zip(now, then, strict=True):
            assert_holds(one, other)
    else:
        assert now == then


def test_what_is_packed_is_what_was_fitted() -> None:
    fitted = fit_shop(name="shop", origin=Origin(source="public.shop", where="id > 0"))
    files = pack(fitted)
    manifest = read_manifest(files[MANIFEST_FILE], digest=digest_of(files[MANIFEST_FILE]))
    assert manifest.features == fitted.manifest.features
    assert manifest.provenance.where == "id > 0"
    assert manifest.hints.rows_per_second_per_core > 0
    assert manifest.hints.model_bytes > 0
    assert {file.name: file.size for file in manifest.files} == {
        name: len(raw) for name, raw in files.items() if name != MANIFEST_FILE
    }
    assert files[METRICS_FILE].startswith(b"{")
