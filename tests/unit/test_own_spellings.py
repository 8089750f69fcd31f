"""Texts that are carried through a type come out as they went in, or are named."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet.files.carried import carried
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.files.own_spellings import as_written

ODD = ["02134", "+5", " 7", "7 ", "7.0", "-0", "NA", "0x1F", "9" * 19, "9" * 30, "1_0", "٣", "null", " "]
INTEGERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str), st.sampled_from(ODD), st.text("0123456789+-. ", max_size=5)
)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.text("0123456789+-.eE ", max_size=8),
    st.sampled_from(
        [
            *ODD,
            "1.10",
            "7.50",
            "nan",
            "inf",
            "1e400",
            "1e-400",
            "0." + "0" * 400 + "1",
            "0.1234567890123456789",
        ]
    ),
)


@given(st.lists(INTEGERS, max_size=8))
def test_an_integer_comes_back_as_it_was_written_or_is_named(texts: list[str]) -> None:
    kept, changed = as_written(pa.array(texts, pa.string()), LogicalDtype.INTEGER)
    for text, out, is_changed in zip(texts, kept.to_pylist(), changed.tolist(), strict=True):
        assert out == (None if is_changed or not text else text)
        try:
            comes_back = not text or (str(int(text)) == text and -(2**63) <= int(text) < 2**63)
        except ValueError:
            comes_back = False
        assert is_changed is not comes_back


@given(st.lists(NUMBERS, max_size=8))
def test_a_number_keeps_every_digit_or_is_named(texts: list[str]) -> None:
    kept, changed = as_written(pa.array(texts, pa.string()), LogicalDtype.FLOAT64)
    for text, out, is_changed in zip(texts, kept.to_pylist(), changed.tolist(), strict=True):
        assert out == (None if is_changed or not text else text)
        if text and not is_changed:
            assert Decimal(text) == Decimal(repr(float(text)))
            mantissa = text.lower().partition("e")[0].lstrip("-")
            assert mantissa.endswith(".0") or "." not in mantissa or not mantissa.endswith("0")
            assert mantissa == "0" or mantissa[0] != "0" or mantissa[1] == "."


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_a_program_writes_for_a_number_is_its_own_spelling(value: float) -> None:
    assert not as_written(pa.array([repr(value)]), LogicalDtype.FLOAT64)[1].any()


@pytest.mark.parametrize(
    ("dtype", "own", "others"),
    [
        (LogicalDtype.BOOLEAN, ["true", "False", "TRUE"], ["NO", "t", "yes", "1", " true", "NA"]),
        (LogicalDtype.DATE, ["2024-02-29"], ["2024-02-30", "2024-02-29 ", "29.2.2024", "NA"]),
        (LogicalDtype.TIME, ["23:59", "23:59:59.5"], ["23:59:59.1234567", "24:01", "1:00"]),
        (
            LogicalDtype.TIMESTAMP,
            ["2024-02-29T23:59:59.123456"],
            ["2024-02-29", "2024-02-29 00:00:00.1234567"],
        ),
        (LogicalDtype.TIMESTAMPTZ, ["2024-02-29 23:59+02:00"], ["2024-02-29 23:59", "2024-02-30 00:00Z"]),
        (LogicalDtype.DECIMAL, ["9" * 30, "-7.50"], ["007", "1e5", "+1", "NA"]),
        (LogicalDtype.TEXT, ["", "NA", " 7 ", "007"], []),
    ],
)
def test_what_a_type_would_lose_is_named(dtype: LogicalDtype, own: list[str], others: list[str]) -> None:
    kept, changed = as_written(pa.array([*own, *others]), dtype)
    assert changed.tolist() == [False] * len(own) + [True] * len(others)
    expected = [text.lower() if dtype is LogicalDtype.BOOLEAN else text for text in own]
    assert kept.to_pylist() == [*expected, *[None] * len(others)]


@pytest.mark.parametrize(
    ("texts", "wanted", "asked", "dtype"),
    [
        (["1", "2", "", None], None, None, LogicalDtype.INTEGER),
        (["1", "02"], None, None, LogicalDtype.TEXT),
        (["1", "NA"], None, None, LogicalDtype.TEXT),
        (["NO", "T"], None, None, LogicalDtype.TEXT),
        (["1.5", "2.50"], None, None, LogicalDtype.TEXT),
        (["1", "02"], None, LogicalDtype.INTEGER, LogicalDtype.INTEGER),
        (["1", "2"], None, LogicalDtype.TEXT, LogicalDtype.TEXT),
        (["1", "NA"], LogicalDtype.INTEGER, None, LogicalDtype.TEXT),
        # What is no number at all is told of the feature.
        (["1", "far"], LogicalDtype.INTEGER, None, LogicalDtype.INTEGER),
        (["1", "2.5"], LogicalDtype.FLOAT32, None, LogicalDtype.FLOAT64),
        ([None, None], None, None, LogicalDtype.TEXT),
    ],
)
def test_a_column_is_carried_as_a_type_that_changes_none_of_its_texts(
    texts: list[str | None], wanted: LogicalDtype | None, asked: LogicalDtype | None, dtype: LogicalDtype
) -> None:
    found = carried("it", pa.array(texts, pa.string()), asked=asked, wanted=wanted)
    assert found.dtype is dtype
    assert found.as_written is (asked is None)
    looks_otherwise = asked is None and dtype is LogicalDtype.TEXT and "02" not in texts and any(texts)
    assert ("--type it=" in found.because) is looks_otherwise
