"""A model made elsewhere is given the columns that it was fitted on, with dtypes that never change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_samples import SHOP_COLUMNS, shop_rows
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.frame_inputs import FrameBuilder
from skfleet_common.model.manifest import Feature, FeatureKind, Levels, Takes
from skfleet_common.model.policies import NullPolicy, UnseenPolicy
from skfleet_common.model.refusals import MissingColumn, NullRefused, TypeChanged, UnseenLevel

USABLE = [column for column in SHOP_COLUMNS if column.dtype is not LogicalDtype.OTHER]


def raw(column: str, dtype: LogicalDtype, **changed: Any) -> Feature:
    return Feature(
        column=column,
        dtype=dtype,
        kind=FeatureKind.RAW,
        nulls=changed.pop("nulls", NullPolicy.MISSING),
        **changed,
    )


def every_column(nulls: NullPolicy = NullPolicy.MISSING) -> list[Feature]:
    return [raw(column.name, column.dtype, nulls=nulls) for column in USABLE]


def test_every_logical_type_has_one_pandas_dtype() -> None:
    frame = FrameBuilder(every_column(), Takes.FRAME).build(shop_rows(50, nulls=0.3)).X
    assert [str(dtype) for dtype in frame.dtypes] == [
        "float64",
        "float64",
        "float64",
        "float32",
        "float64",
        "float64",
        "object",
        "str",
        "datetime64[us]",
        "object",
        "datetime64[us]",
        "datetime64[us, UTC]",
        "object",
        "float64",
    ]
    assert {type(value) for value in frame["member"]} == {bool, float}
    whole = FrameBuilder(every_column(NullPolicy.ERROR), Takes.FRAME).build(shop_rows(50, nulls=0.0)).X
    assert (str(whole["items"].dtype), str(whole["member"].dtype)) == ("int64", "bool")


@given(
    rows=st.integers(0, 30), nulls=st.sampled_from([0.0, 0.3, 1.0]), policy=st.sampled_from(list(NullPolicy))
)
def test_the_dtypes_are_the_same_whatever_the_batch_holds(
    rows: int, nulls: float, policy: NullPolicy
) -> None:
    table = shop_rows(rows, nulls=nulls)
    builder = FrameBuilder(every_column(policy), Takes.FRAME)
    expected = builder.build(shop_rows(5, nulls=0.0)).X.dtypes
    try:
        built = builder.build(table)
    except NullRefused:
        assert policy is NullPolicy.ERROR
        return
    assert built.X.dtypes.equals(expected)
    assert len(built.X) == rows
    if policy is NullPolicy.REJECT_ROW:
        usable = table.select([column.name for column in USABLE]).to_pylist()
        expected_rejects = [row for row, values in enumerate(usable) if None in values.values()]
        assert sorted(built.rejects) == expected_rejects


@given(cut=st.integers(0, 40))
def test_the_rows_of_a_split_batch_are_those_of_the_whole(cut: int) -> None:
    table = shop_rows(40, nulls=0.2)
    builder = FrameBuilder(every_column(), Takes.FRAME)
    whole = builder.build(table).X
    parts = [builder.build(table.slice(0, cut)).X, builder.build(table.slice(cut)).X]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_columns_come_in_the_order_of_the_model_not_of_the_table() -> None:
    features = [raw("score", LogicalDtype.FLOAT64), raw("items", LogicalDtype.INTEGER)]
    frame = FrameBuilder(features, Takes.FRAME).build(shop_rows(5)).X
    assert list(frame.columns) == ["score", "items"]


def test_an_array_of_numbers_is_float64_with_nan_for_null() -> None:
    features = [raw("member", LogicalDtype.BOOLEAN), raw("items", LogicalDtype.INTEGER)]
    X = FrameBuilder(features, Takes.ARRAY).build(pa.table({"items": [3, None], "member": [True, False]})).X
    assert X.dtype == np.float64
    np.testing.assert_array_equal(X, [[1.0, 3.0], [0.0, np.nan]])


def test_an_array_with_text_is_one_of_objects() -> None:
    features = [raw("city", LogicalDtype.TEXT), raw("items", LogicalDtype.INTEGER, nulls=NullPolicy.ERROR)]
    X = FrameBuilder(features, Takes.ARRAY).build(pa.table({"items": [3, 4], "city": ["Ulm", None]})).X
    assert X.dtype == object
    assert X[0].tolist() == ["Ulm", 3]
    assert np.isnan(X[1, 0])


def test_a_pandas_categorical_keeps_its_levels_and_refuses_others() -> None:
    levels = Levels(dtype=LogicalDtype.TEXT, values=("b", "a"))
    city = raw("city", LogicalDtype.TEXT, levels=levels, unseen=UnseenPolicy.ERROR)
    known = FrameBuilder([city], Takes.FRAME).build(pa.table({"city": ["a", None]})).X["city"]
    assert list(known.cat.categories) == ["b", "a"]
    assert known.cat.codes.tolist() == [1, -1]
    strange = pa.table({"city": ["c", "a"]})
    with pytest.raises(
        UnseenLevel,
        match="'city' holds levels that are not among the categories of the model's sample in 1 row",
    ):
        FrameBuilder([city], Takes.FRAME).build(strange)
    rejecting = city.model_copy(update={"unseen": UnseenPolicy.REJECT_ROW})
    assert list(FrameBuilder([rejecting], Takes.FRAME).build(strange).rejects) == [0]
    lenient = city.model_copy(update={"unseen": UnseenPolicy.OTHER})
    assert FrameBuilder([lenient], Takes.FRAME).build(strange).X["city"].isna().tolist() == [True, False]


def test_a_missing_or_changed_column_is_refused_by_name() -> None:
    builder = FrameBuilder([raw("items", LogicalDtype.INTEGER)], Takes.FRAME)
    with pytest.raises(MissingColumn, match="'items'"):
        builder.build(pa.table({"item": [1]}))
    with pytest.raises(TypeChanged, match="'items'"):
        builder.build(pa.table({"items": ["1"]}))
