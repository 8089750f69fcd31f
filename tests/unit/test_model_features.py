"""There is one path to the feature array, and it gives what scikit-learn's transformers give."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_samples import CITY, SHOP_COLUMNS, as_driver_gives, fit_shop, open_again, shop_rows
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.feature_choices import ColumnChoices, FeatureChoices
from skfleet_common.model.features import FeatureBuilder
from skfleet_common.model.golden import same_bits
from skfleet_common.model.preprocessing import source_frame
from skfleet_common.model.refusals import MissingColumn, TypeChanged


@pytest.fixture(scope="module", params=["gradient_boosting", "logistic_regression"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return open_again(fit_shop(model=request.param, categorical=["shelf"], tolerated_unseen=1.0))


def _builder(bundle: Bundle) -> FeatureBuilder:
    return FeatureBuilder(bundle.manifest.features, bundle.pipeline.named_steps["features"])


def _with_strangers(table: pa.Table) -> pa.Table:
    """Replace some levels by ones that training never saw."""
    city = [
        f"{value} II" if row % 5 == 0 else value for row, value in enumerate(table.column(CITY).to_pylist())
    ]
    shelf = [999 if row % 7 == 0 else value for row, value in enumerate(table.column("shelf").to_pylist())]
    table = table.set_column(table.schema.get_field_index(CITY), CITY, pa.array(city, pa.string()))
    return table.set_column(table.schema.get_field_index("shelf"), "shelf", pa.array(shelf, pa.int16()))


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(0, 60), nulls=st.floats(0, 1))
def test_a_data_frame_and_a_batch_give_the_same_bits(
    bundle: Bundle, seed: int, rows: int, nulls: float
) -> None:
    table = _with_strangers(shop_rows(rows, seed=seed, nulls=nulls))
    assert same_bits(_builder(bundle).build(table).X, bundle.features(as_driver_gives(table)))


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 60), nulls=st.floats(0, 1))
def test_looking_levels_up_gives_what_scikit_learn_gives_row_by_row(
    bundle: Bundle, seed: int, rows: int, nulls: float
) -> None:
    table = _with_strangers(shop_rows(rows, seed=seed, nulls=nulls))
    transformer = bundle.pipeline.named_steps["features"]
    expected = transformer.transform(source_frame(table, bundle.manifest.features))
    assert same_bits(_builder(bundle).build(table).X, expected)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 80), max_size=5))
def test_any_split_of_the_rows_gives_the_same_features(bundle: Bundle, seed: int, cuts: list[int]) -> None:
    table = shop_rows(80, seed=seed)
    builder = _builder(bundle)
    ends = sorted({0, *cuts, 80})
    parts = [builder.build(table.slice(first, stop - first)).X for first, stop in pairwise(ends)]
    assert same_bits(np.concatenate(parts), builder.build(table).X)


def test_columns_of_a_batch_may_come_in_any_order_and_dictionary_encoded(bundle: Bundle) -> None:
    table = shop_rows(50, seed=3)
    other = table.select(list(reversed(table.schema.names)))
    city = other.schema.get_field_index(CITY)
    other = other.set_column(city, CITY, other.column(CITY).dictionary_encode())
    assert same_bits(_builder(bundle).build(other).X, _builder(bundle).build(table).X)


def test_every_column_of_the_array_has_a_name_of_its_own(bundle: Bundle) -> None:
    names = [feature.name for feature in bundle.manifest.transformed]
    assert len(set(names)) == len(names) == bundle.features(as_driver_gives(shop_rows(2))).shape[1]
    assert {feature.dtype for feature in bundle.manifest.transformed} == {"float64"}


def test_moments_are_taken_apart_in_utc_and_before_1970_too() -> None:
    table = shop_rows(200)
    names = [feature.name for feature in fit_shop(table).manifest.transformed]
    bundle = open_again(fit_shop(table))
    moment = pd.Timestamp("1969-12-31 22:30:00", tz="America/New_York")
    frame = (
        as_driver_gives(table)
        .iloc[:1]
        .assign(paid=pd.Series([moment]), born=pd.Timestamp("1955-02-28").date())
    )
    row = dict(zip(names, bundle.features(frame)[0].tolist(), strict=True))
    utc = moment.tz_convert("UTC")
    assert row["paid:hour"] == utc.hour == 3
    assert row["paid:second_of_day"] == 3.5 * 3600
    assert row["paid:epoch_second"] == utc.timestamp()
    assert (row["born:year"], row["born:month"], row["born:weekday"]) == (1955, 2, 1)
    assert row["born:epoch_day"] == -5421


def test_a_batch_without_a_column_is_refused_with_the_nearest_name(bundle: Bundle) -> None:
    table = shop_rows(3).rename_columns(["itemz" if c.name == "items" else c.name for c in SHOP_COLUMNS])
    with pytest.raises(MissingColumn, match=r"'items', which is not there.*did you mean itemz"):
        bundle.score(table)


def test_integer_levels_that_became_text_are_refused(bundle: Bundle) -> None:
    table = shop_rows(3)
    position = table.schema.get_field_index("shelf")
    text = table.set_column(position, "shelf", table.column("shelf").cast(pa.string()))
    with pytest.raises(
        TypeChanged, match="'shelf' changed: the model was trained on whole numbers but got string"
    ):
        bundle.score(text)


def test_an_unseen_level_is_never_an_all_zero_row() -> None:
    bundle = open_again(fit_shop(model="logistic_regression", categorical=["shelf"]))
    names = [feature.name for feature in bundle.manifest.transformed]
    columns = [position for position, name in enumerate(names) if name.startswith(f"{CITY}=")]
    frame = as_driver_gives(shop_rows(1, nulls=0)).assign(**{CITY: "Atlantis"})
    encoded = bundle.features(frame)[0, columns]
    assert encoded.sum() == 1.0
    assert names[columns[int(encoded.argmax())]] == f"{CITY}=(other)"


def test_rare_levels_share_a_column_with_unseen_ones_in_a_linear_model() -> None:
    rows = 2_000
    names = [f"L{number}" if number < 150 else "common" for number in range(rows)]
    table = shop_rows(rows, nulls=0)
    table = table.set_column(table.schema.get_field_index(CITY), CITY, pa.array(names))
    every_level = FeatureChoices(columns={CITY: ColumnChoices(rare=0)})
    bundle = open_again(fit_shop(table, model="logistic_regression", features=every_level))
    width = sum(feature.name.startswith(f"{CITY}=") for feature in bundle.manifest.transformed)
    assert width == 100
    frame = as_driver_gives(table).iloc[[149, 1_000]].assign(**{CITY: ["Atlantis", "common"]})
    encoded = bundle.features(frame)
    other = [f.name for f in bundle.manifest.transformed].index(f"{CITY}=(other)")
    assert encoded[:, other].tolist() == [1.0, 0.0]
