"""Printed values become the values that they print, and types have one spelling each."""

from __future__ import annotations

import datetime as dt
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.files.columns_read import as_text as of_files
from skfleet_common.tables.redshift.types import read_type, type_numbered
from skfleet_common.tables.redshift.values import feature_array, printed_text, text_array


def column(spelled: str) -> Column:
    known = read_type(spelled)
    return Column(name="x", warehouse_type=known.spelled, dtype=known.dtype)


def read(spelled: str, *printed: str | None) -> pa.Array:
    return feature_array(pa.array(printed, pa.string()), column(spelled))


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers(value: int) -> None:
    assert read("bigint", str(value), None).to_pylist() == [value, None]


@given(st.floats(allow_nan=False))
def test_doubles_of_seventeen_digits(value: float) -> None:
    printed = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, f"{value:.17g}")
    assert read("double precision", printed).to_pylist() == [value]


@given(st.floats(allow_nan=False, width=32))
def test_reals_printed_as_doubles(value: float) -> None:
    printed = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, f"{value:.17g}")
    array = read("real", printed)
    assert array.type == pa.float32()
    assert array.to_pylist() == [value]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**28), max_value=10**28))
def test_numerics_are_the_nearest_doubles(value: object) -> None:
    assert read("numeric(38,9)", str(value)).to_pylist() == [float(str(value))]


def test_nan_is_a_number_and_no_null() -> None:
    array = read("double precision", "NaN", None)
    assert math.isnan(array[0].as_py())
    assert array.null_count == 1


@given(st.dates(), st.sampled_from([None, "0044-03-15 BC", "12345-06-07"]))
def test_dates_also_beside_those_that_arrow_cannot_parse(value: dt.date, odd: str | None) -> None:
    array = read("date", value.isoformat(), odd)
    assert array.type == pa.date32()
    assert array[0].as_py() == value


@given(st.datetimes(), st.sampled_from([None, "0044-03-15 01:02:03.5 BC", "12345-06-07 00:00:00"]))
def test_timestamps_also_beside_those_that_arrow_cannot_parse(value: dt.datetime, odd: str | None) -> None:
    array = read("timestamp", value.isoformat(" "), odd)
    assert array.type == pa.timestamp("us")
    assert array[0].as_py() == value


@pytest.mark.parametrize(
    ("printed", "days"),
    [
        ("1970-01-01", 0), ("0001-01-01", -719_162), ("0001-12-31 BC", -719_163),
        ("4713-01-01 BC", -2_440_550),
        ("10000-01-01", 2_932_897), ("infinity", 2**31 - 1), ("-infinity", 1 - 2**31),
    ],
)  # fmt: skip
def test_days_of_far_dates(printed: str, days: int) -> None:
    assert read("date", printed).cast(pa.int32()).to_pylist() == [days]


@given(st.datetimes(min_value=dt.datetime(1, 1, 2)))  # noqa: DTZ001
def test_instants_are_in_utc(value: dt.datetime) -> None:
    array = read("timestamptz", value.isoformat(" ") + "+00")
    assert array.type == pa.timestamp("us", "UTC")
    assert array[0].as_py() == value.replace(tzinfo=dt.UTC)


@given(st.times())
def test_times_of_day(value: dt.time) -> None:
    array = read("time", value.isoformat(), "24:00:00", None)
    assert array[0].as_py() == value
    assert array.cast(pa.int64()).to_pylist()[1:] == [86_400_000_000, None]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_texts_keep_their_blanks_and_padding_goes(text: str) -> None:
    padded = pa.array([text + "  ", None])
    assert text_array(padded, column("varchar(99)")).to_pylist() == [text + "  ", None]
    assert text_array(padded, column("char(99)")).to_pylist() == [text.rstrip(" "), None]
    assert printed_text(text + "  ", column("char(99)")) == text.rstrip(" ")


@given(st.lists(st.floats()), st.sampled_from(["double precision", "real"]))
def test_doubles_have_one_text_however_they_are_printed(values: list[float], spelled: str) -> None:
    words = {math.inf: "Infinity", -math.inf: "-Infinity"}
    for digits in (".17g", ".17e"):
        printed = ["NaN" if math.isnan(it) else words.get(it, format(it, digits)) for it in values]
        texts = text_array(pa.array(printed, pa.string()), column(spelled))
        assert texts.equals(of_files(pa.array(values, pa.float64())))
    back = [float(text) for text in texts.to_pylist()]
    assert all(math.isnan(it) or found == it for it, found in zip(values, back, strict=True))


def test_booleans_are_words() -> None:
    assert read("boolean", "t", "f", None).to_pylist() == [True, False, None]
    printed = pa.array(["t", "f", None])
    assert text_array(printed, column("boolean")).to_pylist() == ["true", "false", None]
    assert [printed_text(text, column("boolean")) for text in ("t", "f")] == ["true", "false"]


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("INT", "integer"), ("int2", "smallint"), ("float8", "double precision"),
        ("float", "double precision"),
        ("decimal(10, 2)", "numeric(10,2)"), ("varchar(5)", "character varying(5)"), ("char", "character(1)"),
        ("bpchar", "character(256)"), ("text", "character varying(65535)"), ("bool", "boolean"),
        ("timestamptz", "timestamp with time zone"), ("string", "character varying(65535)"),
        ("super", "super"), ("tinyint", "smallint"),
    ],
)  # fmt: skip
def test_a_type_has_one_spelling(written: str, spelled: str) -> None:
    assert read_type(written).spelled == spelled
    assert read_type(spelled).spelled == spelled


@pytest.mark.parametrize(
    "hostile", ["int); DROP TABLE x; --", "integer NOT NULL", "varchar(5", "", "numeric(1,2,3)", "a b"]
)
def test_what_is_no_type_has_no_values(hostile: str) -> None:
    assert read_type(hostile).dtype is LogicalDtype.OTHER


def test_a_number_without_precision_keeps_its_decimals() -> None:
    assert type_numbered(1700, length=None, precision=65535, scale=65531).spelled == "numeric(38,10)"
    assert type_numbered(1700, length=None, precision=9, scale=2).spelled == "numeric(9,2)"
    assert type_numbered(1043, length=7, precision=None, scale=None).spelled == "character varying(7)"
    assert type_numbered(4000, length=None, precision=None, scale=None).dtype is LogicalDtype.OTHER
