"""Dates, times and timestamps are taken apart exactly, up to the ends of what there is."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_samples import SHOP_COLUMNS, as_driver_gives, fit_shop, open_again, shop_rows
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.model.arrays import canonical_array
from skfleet_common.model.moments import as_numbers, beyond, iso, moment_parts, parts_of, possible_parts
from skfleet_common.model.refusals import TypeChanged

MOMENTS = [LogicalDtype.DATE, LogicalDtype.TIME, LogicalDtype.TIMESTAMP, LogicalDtype.TIMESTAMPTZ]


EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001


def parts(array: pa.Array, *names: str) -> list[float]:
    return [float(values[0]) for values in moment_parts(array, names)]


@pytest.mark.parametrize("dtype", MOMENTS)
def test_the_usual_parts_are_among_the_possible_ones(dtype: LogicalDtype) -> None:
    assert set(parts_of(dtype)) <= set(possible_parts(dtype))


@given(moment=st.datetimes())
def test_parts_are_what_python_says(moment: dt.datetime) -> None:
    array = pa.array([moment], pa.timestamp("us"))
    names = possible_parts(LogicalDtype.TIMESTAMP)
    seconds = (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    assert dict(zip(names, parts(array, *names), strict=True)) == {
        "year": moment.year,
        "quarter": (moment.month + 2) // 3,
        "month": moment.month,
        "week": moment.isocalendar().week,
        "day": moment.day,
        "day_of_year": moment.timetuple().tm_yday,
        "weekday": moment.isoweekday(),
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "second_of_day": pytest.approx(seconds, abs=1e-9),
        "epoch_second": pytest.approx((moment - dt.datetime(1970, 1, 1)) / dt.timedelta(seconds=1)),  # noqa: DTZ001
    }


@given(moment=st.times())
def test_a_time_of_day_has_parts(moment: dt.time) -> None:
    array = pa.array([moment, None], pa.time64("us"))
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
    assert parts(array, "hour", "minute", "second") == [moment.hour, moment.minute, moment.second]
    assert parts(array, "second_of_day") == [pytest.approx(seconds, abs=1e-9)]
    assert all(np.isnan(values[1]) for values in moment_parts(array, possible_parts(LogicalDtype.TIME)))


def test_midnight_at_the_end_of_the_day_is_not_that_at_its_beginning() -> None:
    end = pa.array([86_400_000_000], pa.int64()).cast(pa.time64("us"))
    assert parts(end, "second_of_day") == [86_400.0]
    assert iso(end[0]) == "24:00:00"


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (10_957, pa.date32(), "2000-01-01"),
        (2_932_897, pa.date32(), "10000-01-01"),
        (-719_529, pa.date32(), "-0001-12-31"),
        (-1_000_000, pa.date32(), "-0768-02-04"),
        (253_402_300_800_000_000, pa.timestamp("us"), "10000-01-01T00:00:00.000000"),
        (0, pa.timestamp("us", "UTC"), "1970-01-01T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_a_moment_is_written_down_even_where_python_has_none(
    value: int, kind: pa.DataType, expected: str
) -> None:
    number = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    assert iso(pa.array([value], number).cast(kind)[0]) == expected


def test_dates_that_python_has_none_for_can_be_learned_from() -> None:
    table = shop_rows(nulls=0)
    days = table.column("born").cast(pa.int32()).to_pylist()
    days[:3] = [2_932_897, -800_000, 11_248_737]
    born = pa.array(days, pa.int32()).cast(pa.date32())
    fitted = fit_shop(table.set_column(table.schema.get_field_index("born"), "born", born))
    features = {feature.column: feature for feature in fitted.manifest.features}
    assert features["born"].observed is not None
    assert features["born"].observed[1] == "32767-12-31"
    open_again(fitted)


OUT_OF_RANGE = {
    "born": (pa.int32(), pa.date32(), [2**31 - 1, -(2**31), 11_248_738]),
    "seen": (pa.int64(), pa.timestamp("us"), [2**63 - 1, -(2**63), 2**62]),
    "paid": (pa.int64(), pa.timestamp("us", "UTC"), [2**63 - 1, -(2**63), 2**62]),
}


@pytest.mark.parametrize("column", list(OUT_OF_RANGE))
def test_moments_out_of_range_are_left_out_of_training_and_never_scored(column: str) -> None:
    number, kind, ends = OUT_OF_RANGE[column]
    table = shop_rows(nulls=0)
    values = table.column(column).cast(number).to_pylist()
    values[5:8] = ends
    odd = pa.array(values, number).cast(kind)
    assert np.flatnonzero(beyond(odd)).tolist() == [5, 6, 7]  # type: ignore[arg-type]
    table = table.set_column(table.schema.get_field_index(column), column, odd)
    fitted = fit_shop(table)
    assert fitted.manifest.provenance.rows == 397
    sentence = f"Column '{column}' is infinite, or after the year 32767 in 3 rows, which were left out."
    assert sentence in fitted.warnings
    scored = open_again(fitted).score(table)
    assert [reject.row for reject in scored.rejected] == [5, 6, 7]
    assert all(reject.quarantined for reject in scored.rejected)
    assert scored.rejected[0].reason == f"{column} is infinite, or after the year 32767"


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_moments_beyond_microseconds_are_refused_and_not_wrapped_around(unit: str) -> None:
    batch = pa.table({"seen": pa.array([2**62], pa.timestamp(unit))})
    with pytest.raises(TypeChanged, match=r"'seen' changed: .* beyond 64 bits"):
        canonical_array(batch, "seen", LogicalDtype.TIMESTAMP)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_of_any_unit_are_the_same(unit: str) -> None:
    batch = pa.table({"seen": pa.array([dt.datetime(2024, 2, 29, 12)], pa.timestamp(unit))})  # noqa: DTZ001
    assert as_numbers(canonical_array(batch, "seen", LogicalDtype.TIMESTAMP)).tolist() == [1_709_208_000.0]


def test_a_table_of_times_is_scored_as_a_frame_of_times() -> None:
    table = shop_rows(60, seed=3)
    bundle = open_again(fit_shop())
    kinds = {feature.column: feature for feature in bundle.manifest.features}
    assert kinds["opens"].parts == ("hour", "minute", "second_of_day")
    assert kinds["opens"].observed is not None
    frame = as_driver_gives(table)
    assert {type(value) for value in frame["opens"].dropna()} == {dt.time}
    assert bundle.predict(frame).shape == (60,)


def _opens(values: list[Any]) -> pd.DataFrame:
    return as_driver_gives(shop_rows(1, nulls=0)).assign(opens=pd.Series(values, dtype=object))


@pytest.mark.parametrize(
    "value", [dt.time(5, tzinfo=dt.UTC), dt.datetime(2020, 1, 1, 5), "05:00", 5, dt.timedelta(hours=5)]  # noqa: DTZ001
)  # fmt: skip
def test_what_is_no_time_of_day_is_refused(value: Any) -> None:
    bundle = open_again(fit_shop())
    with pytest.raises(TypeChanged, match="'opens' changed: the model was trained on times of day but got"):
        bundle.predict(_opens([value]))


def test_every_moment_of_the_shop_is_a_feature() -> None:
    dtypes = {column.dtype for column in SHOP_COLUMNS}
    assert set(MOMENTS) <= dtypes
