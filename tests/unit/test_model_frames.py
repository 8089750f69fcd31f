"""A data frame is taken if it is logically the same as the training rows, and refused if it is not."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.frames import batch_of_frame
from skfleet_common.model.manifest import Feature, FeatureKind
from skfleet_common.model.policies import NullPolicy
from skfleet_common.model.refusals import MissingColumn, TypeChanged

L = LogicalDtype
BERLIN = "Europe/Berlin"
NOON = dt.datetime(2020, 5, 17, 12, 0)  # noqa: DTZ001  (a timestamp without a zone is the point)


def _objects(*values: object) -> pd.Series:
    return pd.Series(list(values), dtype=object)


def _taken(series: pd.Series, dtype: LogicalDtype) -> list[Any]:
    feature = Feature(column="c", dtype=dtype, kind=FeatureKind.NUMBER, nulls=NullPolicy.MISSING)
    values: list[Any] = batch_of_frame(pd.DataFrame({"c": series}), [feature]).column(0).to_pylist()
    return values


@pytest.mark.parametrize(
    ("series", "dtype", "expected"),
    [
        (pd.Series([1, None]), L.INTEGER, [1, None]),
        (_objects(1, None, np.nan, pd.NA), L.INTEGER, [1, None, None, None]),
        (_objects(1, 2.0, None), L.INTEGER, [1, 2, None]),
        (_objects(Decimal(3), None), L.INTEGER, [3, None]),
        (pd.Series([1, None], dtype="Int32"), L.INTEGER, [1, None]),
        (pd.Series([1, None], dtype=pd.ArrowDtype(pa.int16())), L.INTEGER, [1, None]),
        (pd.Series([1, 2, None], dtype="category"), L.INTEGER, [1, 2, None]),
        (pd.Series([0.1]), L.FLOAT32, [float(np.float32(0.1))]),
        (pd.Series([1, 2]), L.FLOAT64, [1.0, 2.0]),
        (_objects(1.5, None, pd.NA), L.FLOAT64, [1.5, None, None]),
        (_objects(Decimal("0.10"), Decimal("NaN"), None), L.DECIMAL, [0.1, None, None]),
        (pd.Series([True, None]), L.BOOLEAN, [True, None]),
        (pd.Series([True, None], dtype="boolean"), L.BOOLEAN, [True, None]),
        (pd.Series(["a", None]), L.TEXT, ["a", None]),
        (pd.Series(["a", None], dtype="str"), L.TEXT, ["a", None]),
        (_objects("a", None, np.nan), L.TEXT, ["a", None, None]),
        (pd.Series(["a", None], dtype="category"), L.TEXT, ["a", None]),
        (_objects(dt.date(2020, 5, 17), None), L.DATE, [dt.date(2020, 5, 17), None]),
        (pd.Series([pd.Timestamp("2020-05-17"), pd.NaT]), L.DATE, [dt.date(2020, 5, 17), None]),
        (_objects(NOON, None), L.TIMESTAMP, [NOON, None]),
        (pd.Series([NOON]).astype("datetime64[ns]"), L.TIMESTAMP, [NOON]),
        (pd.Series([None, None]), L.TEXT, [None, None]),
        (pd.Series([np.nan, np.nan]), L.BOOLEAN, [None, None]),
        (pd.Series([], dtype=object), L.DATE, []),
    ],
)
def test_what_is_logically_the_same_is_taken(
    series: pd.Series, dtype: LogicalDtype, expected: list[Any]
) -> None:
    assert _taken(series, dtype) == expected


@pytest.mark.parametrize(
    ("series", "dtype", "got"),
    [
        (_objects("1", None), L.INTEGER, "text"),
        (pd.Series(["1"]), L.INTEGER, "text"),
        (pd.Series([1.5, None]), L.INTEGER, "numbers with fractions"),
        (pd.Series([np.inf]), L.INTEGER, "numbers with fractions"),
        (pd.Series([True]), L.INTEGER, "booleans"),
        (_objects(2**70), L.INTEGER, "integers beyond 64 bits"),
        (_objects(1, "2"), L.INTEGER, "a mixture"),
        (pd.Series([True]), L.FLOAT64, "booleans"),
        (pd.Series(["1.5"]), L.DECIMAL, "text"),
        (pd.Series([1, 0]), L.BOOLEAN, "whole numbers"),
        (pd.Series(["t"]), L.BOOLEAN, "text"),
        (pd.Series([1]), L.TEXT, "whole numbers"),
        (_objects("a", 1), L.TEXT, "a mixture"),
        (pd.Series([NOON]), L.DATE, "timestamps with a time of day"),
        (_objects(dt.date(2020, 5, 17), NOON), L.DATE, "dates and timestamps mixed"),
        (_objects(dt.date(2020, 5, 17)), L.TIMESTAMP, "dates"),
        (pd.Series([NOON]), L.TIMESTAMPTZ, "timestamps without a time zone"),
        (pd.Series([pd.Timestamp(NOON, tz=BERLIN)]), L.TIMESTAMP, "timestamps with a time zone"),
        (_objects(NOON, NOON.replace(tzinfo=dt.UTC)), L.TIMESTAMPTZ, "some of which have a time zone"),
    ],
)
def test_what_is_not_the_same_is_refused(series: pd.Series, dtype: LogicalDtype, got: str) -> None:
    with pytest.raises(TypeChanged, match=f"'c' changed: the model was trained on .* but got .*{got}"):
        _taken(series, dtype)


def test_an_instant_is_the_same_in_every_zone() -> None:
    instant = dt.datetime(2020, 5, 17, 10, 0, tzinfo=dt.UTC)
    far = instant.astimezone(dt.timezone(dt.timedelta(hours=-9)))
    written = [
        _objects(instant, far),
        pd.Series([instant, instant]).dt.tz_convert(BERLIN),
        pd.Series(pd.to_datetime([instant, far], utc=True)),
    ]
    assert all(_taken(series, L.TIMESTAMPTZ) == [instant, instant] for series in written)


def test_a_missing_column_is_refused_with_the_nearest_name() -> None:
    feature = Feature(column="dep_delay", dtype=L.FLOAT64, kind=FeatureKind.NUMBER, nulls=NullPolicy.MISSING)
    with pytest.raises(MissingColumn, match=r"'dep_delay', which is not there.*did you mean dep_delays"):
        batch_of_frame(pd.DataFrame({"dep_delays": [1.0]}), [feature])


def test_two_columns_of_one_name_are_refused() -> None:
    feature = Feature(column="c", dtype=L.FLOAT64, kind=FeatureKind.NUMBER, nulls=NullPolicy.MISSING)
    with pytest.raises(Refused, match="2 columns called 'c'"):
        batch_of_frame(pd.DataFrame([[1.0, 2.0]], columns=["c", "c"]), [feature])
