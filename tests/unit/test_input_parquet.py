"""Parquet files: every type is read as a warehouse's own would be, and what cannot be read is said."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet.inputs.files import local_files
from skfleet.inputs.parquet_input import ParquetInput
from skfleet.inputs.retyped import retyped
from skfleet.inputs.sample import Sample
from skfleet.inputs.types import check_types
from skfleet.progress import Silent
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.files.arrow_types import as_read, dtype_of
from skfleet_common.model.arrays import CANONICAL

NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 1_000)  # noqa: DTZ001  (it has no zone)


def open_parquet(
    folder: Path, *tables: pa.Table, sample: Sample | None = None, **options: Any
) -> ParquetInput:
    """Write Parquet files and open them as one input."""
    files = []
    for number, table in enumerate(tables):
        path = folder / f"rows{number}.parquet"
        pq.write_table(table, path, **options)
        files += local_files(str(path), flag="--parquet")
    return ParquetInput.open(files, sample=sample, steps=Silent())


def read_one(folder: Path, array: pa.Array, **options: Any) -> tuple[str, list[Any]]:
    """Give the type and the values of a single column."""
    opened = open_parquet(folder, pa.table({"v": array}), **options)
    return str(opened.columns[0].dtype), opened.read(["v"], steps=Silent()).column(0).to_pylist()


@pytest.mark.parametrize(
    ("array", "dtype", "values"),
    [
        (pa.array([1, None], pa.int8()), "integer", [1, None]),
        (pa.array([2**63 - 1, None], pa.uint64()), "integer", [2**63 - 1, None]),
        (pa.array([1.5, None], pa.float16()), "float32", [1.5, None]),
        (pa.array([1.5, None], pa.float32()), "float32", [1.5, None]),
        (pa.array([0.1, None], pa.float64()), "float64", [0.1, None]),
        (pa.array([Decimal("0.07"), None], pa.decimal128(12, 2)), "decimal", [0.07, None]),
        (pa.array([Decimal("0.07"), None], pa.decimal256(50, 2)), "decimal", [0.07, None]),
        (pa.array([True, None]), "boolean", [True, None]),
        (pa.array(["a", None]), "text", ["a", None]),
        (pa.array(["a", None], pa.large_string()), "text", ["a", None]),
        (pa.array(["a", None], pa.string_view()), "text", ["a", None]),
        (pa.array(["a", None]).dictionary_encode(), "text", ["a", None]),
        (pa.nulls(2), "text", [None, None]),
        (pa.array([NOON.date(), None]), "date", [NOON.date(), None]),
        (pa.array([NOON.date(), None], pa.date64()), "date", [NOON.date(), None]),
        (pa.array([NOON.time(), None], pa.time64("ns")), "time", [NOON.time(), None]),
        (pa.array([dt.time(10, 11), None], pa.time32("s")), "time", [dt.time(10, 11), None]),
        (pa.array([NOON, None], pa.timestamp("ms")), "timestamp", [NOON, None]),
        (pa.array([NOON, None], pa.timestamp("ns")), "timestamp", [NOON, None]),
        (
            pa.array([NOON, None], pa.timestamp("us", tz="Asia/Kolkata")),
            "timestamptz",
            [NOON.replace(tzinfo=dt.UTC), None],
        ),
        (
            pa.array([NOON, None], pa.timestamp("ns", tz="+02:00")),
            "timestamptz",
            [NOON.replace(tzinfo=dt.UTC), None],
        ),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_column_is_read_as_what_it_is(
    tmp_path: Path, array: pa.Array, dtype: str, values: list[Any]
) -> None:
    assert read_one(tmp_path, array) == (dtype, values)


def test_timestamps_of_96_bits_are_timestamps(tmp_path: Path) -> None:
    array = pa.array([NOON], pa.timestamp("ns"))
    assert read_one(tmp_path, array, use_deprecated_int96_timestamps=True) == ("timestamp", [NOON])


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1], [2]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([b"a", b"b"]),
        pa.array([1, 2], pa.duration("s")),
        pa.array([b"0123456789abcdef"] * 2, pa.uuid()),
    ],
    ids=lambda array: str(array.type),
)
def test_what_no_model_can_use_is_named_as_such(tmp_path: Path, array: pa.Array) -> None:
    opened = open_parquet(tmp_path, pa.table({"v": array, "n": [1, 2]}))
    assert [str(column.dtype) for column in opened.columns] == ["other", "integer"]
    assert opened.read(["n"], steps=Silent()).num_rows == 2


def test_a_column_that_must_not_be_null_is_so_in_the_model(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.int64())])
    opened = open_parquet(tmp_path, pa.table({"a": [1], "b": [1]}, schema=schema))
    assert [column.nullable for column in opened.columns] == [False, True]


@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12),
        min_size=1,
    )
)
def test_decimals_become_the_nearest_doubles(values: list[Decimal]) -> None:
    array = pa.array(values, pa.decimal128(20, 6))
    assert dtype_of(array.type) is LogicalDtype.DECIMAL
    read = as_read(array, LogicalDtype.DECIMAL, column="v", label="file")
    assert read.to_pylist() == [float(value) for value in values]


@pytest.mark.parametrize(
    ("array", "phrase"),
    [
        (pa.array([2**63], pa.uint64()), "integers beyond 64 bits"),
        (pa.array([2**36], pa.timestamp("s")).cast(pa.timestamp("us")), None),
        (pa.array([2**41], pa.timestamp("s")), "is infinite, or after the year 32767"),
        (pa.array([2**31 - 1], pa.int32()).cast(pa.date32()), "is infinite, or after the year 32767"),
    ],
)
def test_values_beyond_a_type_are_refused_in_a_sentence(
    tmp_path: Path, array: pa.Array, phrase: str | None
) -> None:
    if phrase is None:
        read_one(tmp_path, array)
        return
    with pytest.raises(Refused) as refused:
        read_one(tmp_path, array)
    assert phrase in str(refused.value)
    assert "--exclude v" in str(refused.value)


def test_seconds_that_microseconds_cannot_hold_are_refused() -> None:
    with pytest.raises(Refused, match="moments beyond all calendars"):
        as_read(pa.array([2**60], pa.timestamp("s")), LogicalDtype.TIMESTAMP, column="v", label="file")


def test_files_are_read_as_one_whatever_the_order_of_their_columns(tmp_path: Path) -> None:
    tables = [pa.table({"a": [1, 2], "b": ["x", "y"]}), pa.table({"b": ["z"], "a": pa.array([3], pa.int8())})]
    opened = open_parquet(tmp_path, *tables)
    assert opened.rows == 3
    assert opened.read(["b", "a"], steps=Silent()).to_pydict() == {"b": ["x", "y", "z"], "a": [1, 2, 3]}
    assert len({file.sha256 for file in opened.origin.files}) == 2


@pytest.mark.parametrize(
    ("second", "phrase"),
    [
        ({"a": [1], "c": ["x"]}, "'b'"),
        ({"a": ["1"], "b": ["x"]}, "'a' is bigint in"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    tmp_path: Path, second: dict[str, Any], phrase: str
) -> None:
    with pytest.raises(Refused, match=phrase):
        open_parquet(tmp_path, pa.table({"a": [1], "b": ["x"]}), pa.table(second))


def test_a_sample_is_drawn_by_the_seed(tmp_path: Path) -> None:
    table = pa.table({"a": range(100_000)})
    drawn = [
        open_parquet(tmp_path, table, sample=Sample(50, seed=seed))
        .read(["a"], steps=Silent())["a"]
        .to_pylist()
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 50


def test_rows_that_do_not_fit_in_memory_are_refused_before_they_are_read(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"a": pa.nulls(10_000_000), "b": pa.nulls(10_000_000)}), tmp_path / "many.parquet"
    )
    files = local_files(str(tmp_path / "many.parquet"), flag="--parquet") * 3_000
    opened = ParquetInput.open(files, sample=None, steps=Silent())
    for ask in (lambda: opened.check(["a", "b"]), lambda: opened.read(["a", "b"], steps=Silent())):
        with pytest.raises(
            Refused, match=r"many.parquet and 2999 more would take about .* GB .*--sample ROWS"
        ):
            ask()
    sampled = ParquetInput.open(files[:2], sample=Sample(10), steps=Silent())
    assert sampled.read(["a"], steps=Silent()).num_rows == 10


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"a,b\n1,2\n" * 10, "is no Parquet file"),
        (b"PAR1", "is no Parquet file"),
        (None, "no Parquet file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes | None, phrase: str) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": range(1000)}), path)
    path.write_bytes(content if content is not None else path.read_bytes()[:-20])
    with pytest.raises(Refused, match=phrase):
        ParquetInput.open(local_files(str(path), flag="--parquet"), sample=None, steps=Silent())


def test_damage_inside_a_file_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": [str(i) * 20 for i in range(10_000)]}), path)
    content = bytearray(path.read_bytes())
    content[4:2_000] = bytes(1_996)
    path.write_bytes(content)
    opened = ParquetInput.open(local_files(str(path), flag="--parquet"), sample=None, steps=Silent())
    with pytest.raises(Refused, match="damaged"):
        opened.read(["a"], steps=Silent())


def test_names_must_tell_columns_apart(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="2 columns called 'a'"):
        open_parquet(tmp_path, pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))
    with pytest.raises(Refused, match="no name for its column 2"):
        open_parquet(tmp_path, pa.table({"a": [1], "": [2]}))


@pytest.mark.parametrize(
    ("array", "word", "values"),
    [
        (pa.array([7, None]), "text", ["7", None]),
        (pa.array([7, None]), "float", [7.0, None]),
        (pa.array([1, None]), "boolean", [True, None]),
        (pa.array([7.0, float("nan")]), "integer", [7, None]),
        (pa.array([True, None]), "integer", [1, None]),
        (pa.array(["007", "NA", None]), "integer", [7, None, None]),
        (pa.array(["2024-02-29"]), "date", [NOON.date()]),
        (pa.array(["yes"]).dictionary_encode(), "boolean", [True]),
        (pa.array([NOON.date()]), "timestamp", [dt.datetime(2024, 2, 29)]),  # noqa: DTZ001
        (pa.array([NOON]), "timestamptz", [NOON.replace(tzinfo=dt.UTC)]),
        (pa.array([NOON], pa.timestamp("us", tz="Asia/Kolkata")), "timestamp", [NOON]),
        (pa.array([dt.datetime(2024, 2, 29)]), "date", [NOON.date()]),  # noqa: DTZ001
        (pa.nulls(2), "integer", [None, None]),
    ],
)
def test_another_type_is_taken_where_nothing_is_lost(
    tmp_path: Path, array: pa.Array, word: str, values: list[Any]
) -> None:
    source = open_parquet(tmp_path, pa.table({"V": array, "n": array}))
    opened = retyped(source, check_types({"V": word}))
    (column, _) = opened.columns
    table = opened.read(["n", "V"], steps=Silent())
    assert table["V"].to_pylist() == values
    assert table["V"].type == CANONICAL[column.dtype]
    assert str(table["n"]) == str(source.read(["n"], steps=Silent())["n"])


@pytest.mark.parametrize(
    ("array", "word", "phrase"),
    [
        (pa.array([2]), "boolean", "is to be boolean"),
        (pa.array([1.5]), "integer", "is to be integer"),
        (pa.array(["x"]), "integer", r"\('x'\)"),
        (pa.array([NOON]), "date", "is to be date"),
        (pa.array([1]), "date", "bigint, which cannot be read as date"),
        (pa.array([[1]]), "text", "cannot be read as text"),
        (pa.array([2**60]), "nonsense", "names no type"),
    ],
)
def test_another_type_is_refused_where_something_would_be(
    tmp_path: Path, array: pa.Array, word: str, phrase: str
) -> None:
    with pytest.raises((Refused, UsageError), match=phrase):
        retyped(open_parquet(tmp_path, pa.table({"v": array})), check_types({"v": word})).read(
            ["v"], steps=Silent()
        )
