"""The manifest says what each feature was like in training."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from model_samples import CITY, fit_shop, shop_rows
from skfleet_common.model.baselines import QUANTILES, TOP_LEVELS, Baseline
from skfleet_common.model.manifest import FeatureManifest


@pytest.fixture(scope="module")
def baselines() -> dict[str, Baseline]:
    manifest = FeatureManifest.from_json(fit_shop(categorical=["shelf"]).manifest.to_json())
    found = {feature.column: feature.baseline for feature in manifest.features}
    return {name: baseline for name, baseline in found.items() if baseline is not None}


def test_every_feature_has_one(baselines: dict[str, Baseline]) -> None:
    assert set(baselines) == set(fit_shop().manifest.feature_columns)
    assert {baseline.unseen_rate for baseline in baselines.values()} == {0.0}


def test_null_rates_are_those_of_the_rows(baselines: dict[str, Baseline]) -> None:
    table = shop_rows()
    for name, baseline in baselines.items():
        assert baseline.null_rate == table.column(name).null_count / 400


@pytest.mark.parametrize("column", ["items", "weight", "score", "price", "member"])
def test_quantiles_are_values_that_were_there(baselines: dict[str, Baseline], column: str) -> None:
    values = np.sort(shop_rows().column(column).drop_null().cast(pa.float64()).to_numpy())
    quantiles = baselines[column].quantiles
    assert len(quantiles) == len(QUANTILES) == 9
    assert (quantiles[0], quantiles[-1]) == (values[0], values[-1])
    assert set(quantiles) <= set(values.tolist())
    for share, quantile in zip(QUANTILES, quantiles, strict=True):
        assert np.mean(values <= quantile) >= share
        assert np.mean(values < quantile) <= share


def test_moments_count_from_1970_and_times_from_midnight(baselines: dict[str, Baseline]) -> None:
    table = shop_rows()
    born = table.column("born").drop_null().cast(pa.int32()).to_numpy()
    paid = table.column("paid").drop_null().cast(pa.int64()).to_numpy() / 1e6
    opens = table.column("opens").drop_null().cast(pa.int64()).to_numpy() / 1e6
    for name, values in {"born": born, "paid": paid, "opens": opens}.items():
        assert (baselines[name].quantiles[0], baselines[name].quantiles[-1]) == (values.min(), values.max())


def test_top_levels_come_with_their_share_most_frequent_first(baselines: dict[str, Baseline]) -> None:
    counts = {
        e["values"]: e["counts"] for e in shop_rows().column(CITY).drop_null().value_counts().to_pylist()
    }
    top = baselines[CITY].top_levels
    assert {level.level: level.share for level in top} == {name: n / 400 for name, n in counts.items()}
    assert [level.share for level in top] == sorted((level.share for level in top), reverse=True)
    assert {type(level.level) for level in baselines["shelf"].top_levels} == {int}
    assert baselines[CITY].quantiles == ()


def test_only_the_most_frequent_levels_are_listed() -> None:
    names = [f"L{n}" for n in range(60) for _ in range(5 + n)]
    table = shop_rows(len(names), nulls=0)
    table = table.set_column(table.schema.get_field_index(CITY), CITY, pa.array(names))
    features = {feature.column: feature for feature in fit_shop(table).manifest.features}
    baseline = features[CITY].baseline
    assert baseline is not None
    assert [level.level for level in baseline.top_levels] == [f"L{59 - n}" for n in range(TOP_LEVELS)]
