"""DataFrames: what training takes from a frame is what prediction takes from it, type by type."""

from __future__ import annotations

import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skfleet.inputs.csv_input import CsvInput, CsvOptions
from skfleet.inputs.files import local_files
from skfleet.inputs.frame_input import FrameInput
from skfleet.inputs.parquet_input import ParquetInput
from skfleet.inputs.sample import Sample
from skfleet.progress import Silent
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.arrays import CANONICAL, canonical_array
from skfleet_common.model.frames import batch_of_frame
from skfleet_common.model.manifest import Feature, FeatureKind
from skfleet_common.model.policies import NullPolicy

DAY = dt.date(2024, 2, 29)
NOON = dt.datetime(2024, 2, 29, 12)  # noqa: DTZ001  (it has no zone)

SERIES = {
    "int64": (pd.Series([1, 2]), "integer"),
    "Int16": (pd.Series([1, None], dtype="Int16"), "integer"),
    "uint8": (pd.Series([1, 2], dtype="uint8"), "integer"),
    "arrow-int": (pd.Series([1, None], dtype=pd.ArrowDtype(pa.int8())), "integer"),
    "int-objects": (pd.Series([1, None], dtype=object), "integer"),
    "int-categories": (pd.Series([1, 2], dtype="category"), "integer"),
    "float64": (pd.Series([1.5, None]), "float64"),
    "Float64": (pd.Series([1.5, None], dtype="Float64"), "float64"),
    "float32": (pd.Series([1.5, None], dtype="float32"), "float32"),
    "float16": (pd.Series([1.5, None], dtype="float16"), "float32"),
    "Float32": (pd.Series([1.5, None], dtype="Float32"), "float32"),
    "arrow-float": (pd.Series([1.5, None], dtype=pd.ArrowDtype(pa.float32())), "float32"),
    "mixed-numbers": (pd.Series([1, 2.5], dtype=object), "float64"),
    "sparse": (pd.Series(pd.arrays.SparseArray([1.0, 0.0])), "float64"),
    "decimals": (pd.Series([Decimal("0.07"), None]), "decimal"),
    "arrow-decimals": (
        pd.Series([Decimal("0.07"), None], dtype=pd.ArrowDtype(pa.decimal128(12, 2))),
        "decimal",
    ),
    "bool": (pd.Series([True, False]), "boolean"),
    "boolean": (pd.Series([True, None], dtype="boolean"), "boolean"),
    "bool-objects": (pd.Series([True, None], dtype=object), "boolean"),
    "str": (pd.Series(["a", None]), "text"),
    "str-objects": (pd.Series(["a", None], dtype=object), "text"),
    "string": (pd.Series(["a", None], dtype="string"), "text"),
    "arrow-str": (pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())), "text"),
    "categories": (pd.Series(["a", "b"], dtype="category"), "text"),
    "nothing": (pd.Series([None, None]), "text"),
    "dates": (pd.Series([DAY, None], dtype=object), "date"),
    "arrow-dates": (pd.Series([DAY, None], dtype=pd.ArrowDtype(pa.date32())), "date"),
    "times": (pd.Series([dt.time(10, 11), None], dtype=object), "time"),
    "datetime64": (pd.Series([NOON, None]), "timestamp"),
    "datetime64-s": (pd.Series([NOON, None], dtype="datetime64[s]"), "timestamp"),
    "datetimes": (pd.Series([NOON, None], dtype=object), "timestamp"),
    "moment-categories": (pd.Series([NOON, None]).astype("category"), "timestamp"),
    "zoned": (pd.Series([NOON, None]).dt.tz_localize("Asia/Kolkata"), "timestamptz"),
    "zoned-objects": (pd.Series([NOON.replace(tzinfo=dt.UTC), None], dtype=object), "timestamptz"),
    "arrow-zoned": (
        pd.Series(
            [NOON.replace(tzinfo=dt.UTC), None], dtype=pd.ArrowDtype(pa.timestamp("us", tz="Asia/Kolkata"))
        ),
        "timestamptz",
    ),
    "not-a-time": (pd.Series([pd.NaT, pd.NaT]), "timestamp"),
    "timedelta": (pd.Series([pd.Timedelta("1s")] * 2), "other"),
    "periods": (pd.Series(pd.period_range("2024", periods=2)), "other"),
    "intervals": (pd.Series(pd.interval_range(0, 2)), "other"),
    "bytes": (pd.Series([b"a", b"b"]), "other"),
    "lists": (pd.Series([[1], [2]]), "other"),
    "complex": (pd.Series([1j, 2j]), "other"),
}


@pytest.mark.parametrize("kind", sorted(SERIES))
def test_a_column_of_any_type_is_told_and_read(kind: str) -> None:
    series, expected = SERIES[kind]
    opened = FrameInput.open(pd.DataFrame({"v": series}))
    (column,) = opened.columns
    assert column.dtype == expected
    if expected == "other":
        return
    read = opened.read(["v"], steps=Silent()).column(0)
    assert len(read) == 2
    values = [value for value in read.to_pylist() if value is not None]
    known = series.dropna().tolist()
    if expected == "decimal":
        known = [float(value) for value in known]
    if expected == "timestamptz":
        assert [value.timestamp() for value in values] == [value.timestamp() for value in known]
    else:
        assert values == known


@pytest.mark.parametrize(
    ("values", "phrase"),
    [
        ([1, "a"], "integers and other values"),
        ([1.5, "a"], "a mixture of types"),
        ([1, True], "integers and other values"),
        ([2**70, 1], "integers beyond 64 bits"),
        ([DAY, NOON], "dates and timestamps mixed"),
        ([NOON, NOON.replace(tzinfo=dt.UTC)], "some of which have a time zone"),
        ([dt.time(1), dt.time(2, tzinfo=dt.UTC)], "times of day with a time zone"),
    ],
)
def test_a_mixture_is_refused_and_not_left_out(values: list[Any], phrase: str) -> None:
    opened = FrameInput.open(pd.DataFrame({"v": pd.Series(values, dtype=object), "n": [1, 2]}))
    with pytest.raises(Refused, match=phrase):
        opened.read(["v"], steps=Silent())
    assert opened.read(["n"], steps=Silent()).num_rows == 2


def test_moments_that_cannot_be_taken_apart_are_refused() -> None:
    frame = pd.DataFrame({"v": np.array(["40000-01-01", "2024-01-01"], dtype="datetime64[s]")})
    with pytest.raises(Refused, match="after the year 32767"):
        FrameInput.open(frame).read(["v"], steps=Silent())


@pytest.mark.parametrize(
    ("names", "phrase"),
    [
        ([0, 1], "a name that is no text"),
        (["a", "a"], "2 columns called 'a'"),
        (["a", " "], "without a name"),
        (pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]), "a name that is no text"),
    ],
)
def test_names_must_be_texts_that_tell_columns_apart(names: Any, phrase: str) -> None:
    with pytest.raises(Refused, match=phrase):
        FrameInput.open(pd.DataFrame([[1, 2]], columns=names))


def test_only_frames_are_frames() -> None:
    with pytest.raises(UsageError, match="not list"):
        FrameInput.open([1, 2])


def test_an_index_is_no_column_and_that_is_said() -> None:
    frame = pd.DataFrame({"id": [7, 8], "v": [1, 2]}).set_index("id")
    opened = FrameInput.open(frame)
    assert [column.name for column in opened.columns] == ["v"]
    assert "index (id)" in opened.notes[0]
    assert FrameInput.open(frame.reset_index()).notes == ()


def test_an_index_that_repeats_does_not_repeat_rows() -> None:
    frame = pd.concat([pd.DataFrame({"v": [1, 2]}), pd.DataFrame({"v": [3]})])
    assert FrameInput.open(frame).read(["v"], steps=Silent())["v"].to_pylist() == [1, 2, 3]


def test_a_frame_is_left_as_it_was() -> None:
    frame = pd.DataFrame({name: series for name, (series, _) in SERIES.items()})
    before = frame.copy(deep=True)
    opened = FrameInput.open(frame)
    opened.read([column.name for column in opened.columns if column.dtype != "other"], steps=Silent())
    pd.testing.assert_frame_equal(frame, before)


def test_a_sample_is_drawn_by_the_seed() -> None:
    frame = pd.DataFrame({"v": range(1000)}, index=[0] * 1000)
    one, other = (
        FrameInput.open(frame, sample=Sample(20, seed=seed)).read(["v"], steps=Silent())["v"].to_pylist()
        for seed in (3, 3)
    )
    assert one == other == sorted(set(one))
    assert len(one) == 20


_FIRST, _LAST = dt.datetime(1950, 1, 1), dt.datetime(2100, 1, 1)  # noqa: DTZ001

#: pandas' types, with values that a CSV file can tell from those of other types.
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "str": st.text(st.characters(codec="utf-8", exclude_characters="\0\r")).map(lambda text: f"x{text}"),
    "category": st.sampled_from(["a", "b", "c"]),
    "decimal": st.decimals(-1000, 1000, places=2),
    "date": st.dates(_FIRST.date(), _LAST.date()),
    "time": st.times(),
    "datetime64[us]": st.datetimes(_FIRST, _LAST),
    "datetime64[us, Asia/Kolkata]": st.datetimes(_FIRST, _LAST, timezones=st.just(dt.UTC)),
}


@settings(max_examples=30)
@given(st.data())
def test_a_frame_its_csv_file_and_its_parquet_file_are_the_same_rows(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 12))
    columns: dict[str, Any] = {"n": range(rows)}
    for kind, values in _VALUES.items():
        drawn = data.draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        if any(value is not None for value in drawn):
            is_object = kind in {"decimal", "date", "time"}
            columns[kind] = pd.Series(drawn, dtype=object if is_object else kind)
    frame = pd.DataFrame(columns)
    taken = FrameInput.open(frame)
    with tempfile.TemporaryDirectory() as folder:
        frame.to_csv(Path(folder) / "rows.csv", index=False)
        frame.to_parquet(Path(folder) / "rows.parquet", index=False)
        csv = CsvInput.open(
            local_files(f"{folder}/rows.csv", flag="--csv"), CsvOptions(), sample=None, steps=Silent()
        )
        parquet = ParquetInput.open(
            local_files(f"{folder}/rows.parquet", flag="--parquet"), sample=None, steps=Silent()
        )
        expected = taken.read(list(columns), steps=Silent())
        for other in (csv, parquet):
            found = other.read(list(columns), steps=Silent())
            for column in taken.columns:
                # Moments that all are at midnight are written as days.
                wanted = CANONICAL[column.dtype]
                assert found[column.name].cast(wanted).equals(expected[column.name].cast(wanted)), column.name


@settings(max_examples=30)
@given(st.data())
def test_prediction_takes_from_a_frame_what_training_took(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 12))
    frame = pd.DataFrame(
        {
            kind: pd.Series(
                data.draw(st.lists(st.none() | values, min_size=rows, max_size=rows)),
                dtype=object if kind in {"decimal", "date", "time"} else kind,
            )
            for kind, values in _VALUES.items()
        }
    )
    opened = FrameInput.open(frame)
    features = [
        Feature(column=it.name, dtype=it.dtype, kind=FeatureKind.NUMBER, nulls=NullPolicy.MISSING)
        for it in opened.columns
    ]
    trained = opened.read(list(frame.columns), steps=Silent())
    predicted = batch_of_frame(frame[frame.columns[::-1]], features)
    for feature in features:
        canonical = [
            canonical_array(source, feature.column, feature.dtype) for source in (trained, predicted)
        ]
        assert canonical[0].equals(canonical[1])
