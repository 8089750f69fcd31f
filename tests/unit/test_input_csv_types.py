"""The types of a CSV file's columns follow from all of its rows, and its values are exact."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.input_files import open_csv, read_csv, refusal_of_csv, types_of

from skfleet.inputs.sample import Sample
from skfleet.inputs.tally import Tally
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.files.spellings import as_type
from skfleet_common.model.arrays import CANONICAL


def inferred(*texts: str | None) -> LogicalDtype:
    tally = Tally()
    tally.add(pa.array(texts, type=pa.string()), file=0, first_row=0)
    return tally.as_inferred().dtype


@pytest.mark.parametrize(
    ("texts", "words"),
    [(["no", "Yes"], "'yes' and 'no'"), (["f", "t"], "'t' and 'f'"), (["TRUE", "false"], None)],
)
def test_words_that_become_true_and_false_are_told(texts: list[str], words: str | None) -> None:
    tally = Tally()
    tally.add(pa.array(texts, type=pa.string()), file=0, first_row=0)
    note = tally.as_inferred().note
    expected = f"holds {words}, and is taken as true or false; --type answer=text keeps the words"
    assert (note and note.format(column="answer")) == (words and expected)


@pytest.mark.parametrize(
    ("texts", "dtype"),
    [
        (["1", "-2", "+3", " 4 ", None], "integer"),
        (["1", "2.", ".5", "1e-3", "1E5"], "float64"),
        (["9223372036854775807", "-9223372036854775808"], "integer"),
        (["9223372036854775808", "1"], "decimal"),
        (["00123", "45678"], "text"),
        (["0", "-0", "10"], "integer"),
        (["0.5", "00.5"], "text"),
        (["0x1F", "0x2A"], "text"),
        (["1,000", "2,000"], "text"),
        (["1_000", "2_000"], "text"),
        (["true", "F", "yes", "No", "t"], "boolean"),
        (["0", "1"], "integer"),
        (["yes", "no", "maybe"], "text"),
        (["2024-02-29", "0001-01-01", "9999-12-31"], "date"),
        (["2023-02-29", "2023-01-01"], "text"),
        (["2024-02-29", "2024-02-29 01:02", "2024-02-29T01:02:03.000004"], "timestamp"),
        (["2024-02-29 01:02Z", "2024-02-29T01:02:03+02", "2024-02-29 01:02:03 -0530"], "timestamptz"),
        (["23:59", "00:00:00.5"], "time"),
        (["24:00", "00:00"], "text"),
        (["1", "NA", "", "null", "nan", "\\N", "N/A"], "integer"),
        (["1", "inf", "-Infinity"], "float64"),
        (["NA", "EU", "AF"], "text"),
        (["", None], "text"),
        ([], "text"),
    ],
)
def test_the_narrowest_type_that_takes_every_value_is_taken(texts: list[str | None], dtype: str) -> None:
    assert inferred(*texts) == dtype


def test_the_last_row_of_a_long_file_decides_as_much_as_the_first(tmp_path: Path) -> None:
    rows = 300_000  # several blocks
    body = "n,code\n" + "".join(f"{i},{i}\n" for i in range(rows))
    assert types_of(open_csv(tmp_path, body)) == {"n": "integer", "code": "integer"}
    assert types_of(open_csv(tmp_path, body + "0.5,007\n")) == {"n": "float64", "code": "text"}


def test_nothing_between_delimiters_is_null_and_quoted_nothing_is_an_empty_text(tmp_path: Path) -> None:
    table = read_csv(tmp_path, 'n,t\n1,a\n,\n"",""\n')
    assert table.to_pydict() == {"n": [1, None, None], "t": ["a", None, ""]}


def test_words_for_nothing_are_null_beside_numbers_and_values_beside_texts(tmp_path: Path) -> None:
    opened = open_csv(tmp_path, "n,t\n1,NA\nNA,EU\n")
    assert types_of(opened) == {"n": "integer", "t": "text"}
    assert any("'t'" in note and "--null-text NA" in note for note in opened.notes)
    assert read_csv(tmp_path, "n,t\n1,NA\nNA,EU\n").to_pydict() == {"n": [1, None], "t": ["NA", "EU"]}
    taken = read_csv(tmp_path, "n,t\n1,NA\n?,EU\n", null_texts=("NA", "?"))
    assert taken.to_pydict() == {"n": [1, None], "t": [None, "EU"]}


def test_codes_stay_texts_and_it_is_said(tmp_path: Path) -> None:
    opened = open_csv(tmp_path, "zip\n01234\n99999\n")
    assert read_csv(tmp_path, "zip\n01234\n99999\n").to_pydict() == {"zip": ["01234", "99999"]}
    assert "begin with zeros" in opened.notes[0]
    as_asked = read_csv(tmp_path, "zip\n01234\n99999\n", types={"ZIP": LogicalDtype.INTEGER})
    assert as_asked.to_pydict() == {"zip": [1234, 99999]}


@pytest.mark.parametrize(("example", "phrase"), [("31.12.2023", "YYYY-MM-DD"), ("1,5", "with a point")])
def test_other_ways_of_writing_are_named(tmp_path: Path, example: str, phrase: str) -> None:
    assert phrase in open_csv(tmp_path, f"v;w\n{example};1\n{example};2\n").notes[1]


def test_a_few_texts_among_numbers_are_refused_with_their_lines(tmp_path: Path) -> None:
    body = "a,b\n" + "".join(f"{i},x\n" for i in range(100)) + '?,"two\nlines"\n\n?,x\n1,x\n-,x\n-,y\n'
    sentence = refusal_of_csv(tmp_path, body)
    assert "'a' holds numbers and 4 values that are not ('?'; lines 102, 105 and 107 …)" in sentence
    assert "--null-text" in sentence
    assert "--type a=text" in sentence
    # A column that is not read is nobody's concern.
    assert read_csv(tmp_path, body, names=["b"]).num_rows == 105
    assert read_csv(tmp_path, body, names=["a"], types={"a": LogicalDtype.TEXT})["a"][100].as_py() == "?"
    assert read_csv(tmp_path, body, names=["a"], null_texts=("?", "-"))["a"].null_count == 4


def test_a_day_that_no_calendar_has_is_named_among_dates(tmp_path: Path) -> None:
    body = "d,n\n" + "2023-02-28,1\n" * 20 + "2023-02-29,1\n"
    assert "dates and times and 1 value that is not ('2023-02-29'; line 22)" in refusal_of_csv(tmp_path, body)


def test_moments_of_which_some_have_a_zone_are_refused_unless_the_type_is_named(tmp_path: Path) -> None:
    body = "t,n\n2023-02-28 10:00,1\n2023-02-28 10:00,2\n2023-02-28 10:00+01,3\n"
    assert "without a time zone and 1 value that is not" in refusal_of_csv(tmp_path, body)
    taken = read_csv(tmp_path, body, names=["t"], types={"t": LogicalDtype.TIMESTAMPTZ})
    assert [moment.hour for moment in taken["t"].to_pylist()] == [10, 10, 9]


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        ("integer", "007", 7),
        ("float64", "1", 1.0),
        ("decimal", "1.10", 1.1),
        ("boolean", "1", True),
        ("boolean", "0", False),
        ("text", "1", "1"),
        ("date", "2024-02-29", dt.date(2024, 2, 29)),
        ("timestamp", "2024-02-29", dt.datetime(2024, 2, 29)),  # noqa: DTZ001  (it has no zone)
        ("time", "10:11", dt.time(10, 11)),
    ],
)
def test_a_type_that_is_asked_for_is_taken(tmp_path: Path, dtype: str, text: str, value: Any) -> None:
    table = read_csv(tmp_path, f"v,w\n{text},1\nNA,2\n", types={"v": LogicalDtype(dtype)})
    assert table["v"][0].as_py() == value
    assert table["v"][1].as_py() == ("NA" if dtype == "text" else None)


@pytest.mark.parametrize(("dtype", "text"), [("integer", "1.5"), ("boolean", "2"), ("date", "2023-02-30")])
def test_a_type_that_is_asked_for_must_take_every_value(tmp_path: Path, dtype: str, text: str) -> None:
    sentence = refusal_of_csv(tmp_path, f"v,w\n{text},1\n", types={"v": LogicalDtype(dtype)})
    assert f"'v' is to be {dtype}" in sentence


def test_numbers_beyond_all_doubles_and_words_for_infinity_are_infinite(tmp_path: Path) -> None:
    table = read_csv(tmp_path, "v,w\n1e999,1\n-inf,2\n0.5,3\n")
    assert table["v"].to_pylist() == [float("inf"), float("-inf"), 0.5]


def test_digits_beyond_microseconds_are_cut(tmp_path: Path) -> None:
    table = read_csv(tmp_path, "v,w\n2024-01-01 00:00:00.123456789,1\n")
    assert table["v"][0].as_py().microsecond == 123456


#: Moments nearer to the ends of the calendar are beyond it in UTC.
_SOON, _LATE = dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29)  # noqa: DTZ001

_SPELT: dict[LogicalDtype, st.SearchStrategy[Any]] = {
    LogicalDtype.INTEGER: st.integers(-(2**63), 2**63 - 1),
    LogicalDtype.FLOAT64: st.floats(allow_nan=False, allow_infinity=False),
    LogicalDtype.BOOLEAN: st.booleans(),
    LogicalDtype.DATE: st.dates(),
    LogicalDtype.TIMESTAMP: st.datetimes(),
    LogicalDtype.TIMESTAMPTZ: st.datetimes(_SOON, _LATE).map(lambda moment: moment.replace(tzinfo=dt.UTC)),
    LogicalDtype.TIME: st.times(),
    LogicalDtype.TEXT: st.text(
        st.characters(codec="utf-8", exclude_characters="\0\r\n", exclude_categories=("Cs",))
    ).map(lambda text: f"x{text}"),
}


@given(data=st.data(), dtype=st.sampled_from(list(_SPELT)))
def test_what_python_writes_is_read_back_bit_for_bit(data: st.DataObject, dtype: LogicalDtype) -> None:
    values = data.draw(st.lists(st.none() | _SPELT[dtype], min_size=1, max_size=20))
    texts = pa.array([None if value is None else str(value) for value in values], type=pa.string())
    tally = Tally()
    tally.add(texts, file=0, first_row=0)
    finding = tally.as_inferred()
    if all(value is None for value in values):
        assert finding.dtype is LogicalDtype.TEXT
        return
    assert finding.odd is None
    assert finding.dtype is dtype
    expected = pa.array(values, type=CANONICAL[dtype])
    assert as_type(texts, dtype).equals(expected)


@given(
    texts=st.lists(
        st.sampled_from(["1", "2.5", "01", "true", "NA", "", "x", "2024-01-01", "10:00", "2024-01-01 10:00Z"])
        | st.text(max_size=5),
        max_size=30,
    ),
    cut=st.integers(0, 30),
)
def test_where_blocks_begin_has_no_say_in_the_type(texts: list[str], cut: int) -> None:
    at_once, in_two = Tally(), Tally()
    at_once.add(pa.array(texts, type=pa.string()), file=0, first_row=0)
    in_two.add(pa.array(texts[:cut], type=pa.string()), file=0, first_row=0)
    in_two.add(pa.array(texts[cut:], type=pa.string()), file=0, first_row=len(texts[:cut]))
    assert at_once.counts == in_two.counts
    assert sum(at_once.counts.values()) == len(texts)
    assert at_once.as_inferred() == in_two.as_inferred()


@settings(max_examples=30)
@given(rows=st.integers(1, 300), wanted=st.integers(1, 400), seed=st.integers(0, 3))
def test_a_sample_is_the_same_rows_for_the_same_seed(rows: int, wanted: int, seed: int) -> None:
    body = "n,m\n" + "".join(f"{i},{-i}\n" for i in range(rows))
    with tempfile.TemporaryDirectory() as folder:
        drawn = [
            read_csv(Path(folder), body, sample=Sample(wanted, seed=seed))["n"].to_pylist() for _ in range(2)
        ]
    assert drawn[0] == drawn[1] == sorted(set(drawn[0]))
    assert len(drawn[0]) == min(rows, wanted)
