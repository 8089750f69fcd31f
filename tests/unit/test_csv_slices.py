"""Slices of CSV files: whatever is cut, every row is read once, or the cut is noticed."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from skfleet.files.cuts import WhyNot, find_cut, judge
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.files import csv_rows
from skfleet_common.files.csv_rows import CsvPart
from skfleet_common.files.header import read_header
from skfleet_common.files.quotes import QuoteCheck, record_ends
from skfleet_common.files.text_rows import TextRows
from skfleet_common.files.text_stream import TextStream
from skfleet_common.files.typed_texts import as_values, as_verbatim

FIELDS = st.one_of(
    st.integers(-999, 999).map(str),
    st.text("ab,;\"'é漢 \n\r\t", max_size=6),
    st.sampled_from(["", "x", 'say "no"', "1,2", "two\nlines", "a\r\nb", '"', "\n"]),
)
DELIMITERS = st.sampled_from(",;\t|")
BREAKS = st.sampled_from(["\n", "\r\n"])


def written(rows: list[list[str]], *, delimiter: str, line_break: str, quoting: int) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=line_break, quoting=quoting).writerows(rows)
    return text.getvalue().encode()


def part(raw: bytes, names: list[str], delimiter: str, *, is_cut: bool = True) -> CsvPart:
    return CsvPart(
        label="it",
        open=lambda: TextStream(io.BytesIO(raw), label="it", encoding="utf-8", is_start=False),
        delimiter=delimiter,
        names=tuple(names),
        is_cut=is_cut,
    )


def read(raw: bytes, names: list[str], delimiter: str, *, is_cut: bool = True) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for rows in part(raw, names, delimiter, is_cut=is_cut).rows(names):
        assert not rows.misfits
        found += zip(*(column.fill_null("").to_pylist() for column in rows.texts.columns), strict=True)
    return found


@given(
    st.integers(2, 4).flatmap(
        lambda width: st.tuples(
            st.just(width), st.lists(st.lists(FIELDS, min_size=width, max_size=width), max_size=12)
        )
    ),
    DELIMITERS,
    BREAKS,
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sets(st.integers(0, 400), max_size=4),
)
def test_any_cuts_read_every_row_once_or_are_noticed(
    shape: tuple[int, list[list[str]]], delimiter: str, line_break: str, quoting: int, places: set[int]
) -> None:
    width, rows = shape
    # The writer leaves a lone carriage return unquoted, which ends a row for every reader.
    assume(quoting == csv.QUOTE_ALL or not any("\r" in field for row in rows for field in row))
    raw = written(rows, delimiter=delimiter, line_break=line_break, quoting=quoting)
    names = [f"c{number}" for number in range(width)]
    # Cuts behind any line break, be it within quotes or not, as the worst of planners might make them.
    breaks = [place + 1 for place, byte in enumerate(raw) if byte == ord("\n")]
    cuts = sorted({breaks[place % len(breaks)] for place in places} if breaks else set())
    right = set(record_ends(raw, inside=False).tolist()) | {0, len(raw)}
    edges = [0, *cuts, len(raw)]
    try:
        found = [row for first, stop in pairwise(edges) for row in read(raw[first:stop], names, delimiter)]
    except Refused:
        assert not right >= set(edges)
    else:
        assert right >= set(edges)
        assert found == [tuple(row) for row in rows]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**9).map(str), st.text('abc,"é漢 ', max_size=12), st.sampled_from(["x", ""])
        ),
        min_size=60,
        max_size=80,
    ),
    BREAKS,
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(0, 1_500),
)
def test_a_cut_found_in_a_window_is_between_records(
    rows: list[tuple[str, str, str]], line_break: str, quoting: int, near: int
) -> None:
    raw = written([list(row) for row in rows], delimiter=",", line_break=line_break, quoting=quoting)
    assume(near < len(raw) // 2)
    found = judge(raw[near : near + 700], delimiter=",", width=3)
    if isinstance(found, int):
        assert near + found in set(record_ends(raw, inside=False).tolist())


def test_ordinary_files_are_cut_where_they_are_wanted() -> None:
    rows = [[str(number), f'a "name", {number}', "x" * (number % 50)] for number in range(20_000)]
    raw = written(rows, delimiter=",", line_break="\r\n", quoting=csv.QUOTE_MINIMAL)
    for near in range(1_000, len(raw) - 20_000, 7_919):
        found = find_cut(
            lambda first, stop: raw[first:stop], near, size_bytes=len(raw), delimiter=",", width=3
        )
        assert isinstance(found, int)
        assert near < found < near + 400
        assert raw[found - 2 : found] == b"\r\n"


def test_a_window_with_a_quoted_break_says_so() -> None:
    raw = b'x,y,z\n1,"two\nlines",3\n' * 50
    assert judge(raw[7:], delimiter=",", width=3) is WhyNot.QUOTED_BREAK


def test_a_window_that_says_nothing_decides_nothing() -> None:
    assert judge(b"a long field without any end" * 50, delimiter=",", width=3) is WhyNot.UNDECIDED
    # Both readings are well-formed, and have records of the same width.
    assert judge(b'"\n' * 50, delimiter=",", width=1) is WhyNot.UNDECIDED


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_rows_of_other_widths_are_named_by_number_and_the_others_read(
    line_break: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", (1_000, 100_000))
    lines = [f"{n},x" if n % 7 else f"{n},x,y" for n in range(1, 2_000)]
    raw = line_break.join(lines).encode()
    numbers, misfits = [], []
    for rows in part(raw, ["a", "b"], ",").rows(["a"]):
        for place, number in enumerate(rows.numbers.tolist()):
            if place in rows.misfits:
                misfits.append(number)
            else:
                assert rows.texts.column("a")[place].as_py() == str(number)
                numbers.append(number)
    assert misfits == list(range(7, 2_000, 7))
    assert sorted(numbers + misfits) == list(range(1, 2_000))


def test_a_row_longer_than_a_block_is_read_in_a_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", (1_000, 10_000, 100_000))
    rows = [[str(n), "y" * (9_000 if n == 500 else 5)] for n in range(1, 1_001)]
    raw = written(rows, delimiter=",", line_break="\n", quoting=csv.QUOTE_MINIMAL)
    assert read(raw, ["a", "b"], ",") == [tuple(row) for row in rows]
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", (1_000,))
    with pytest.raises(Refused, match="longer than"):
        read(raw, ["a", "b"], ",")


def test_quotes_within_fields_are_read_in_whole_files_and_refused_in_parts() -> None:
    raw = b'1,5" pipe\n2,6" pipe\n'
    assert read(raw, ["a", "b"], ",", is_cut=False) == [("1", '5" pipe'), ("2", '6" pipe')]
    with pytest.raises(Refused, match="--whole-files"):
        read(raw, ["a", "b"], ",")


def test_a_quote_that_nothing_closes_is_refused_and_swallows_no_rows() -> None:
    with pytest.raises(Refused, match="that nothing closes"):
        read(b'1,"2\n3,4\n5,6\n', ["a", "b"], ",", is_cut=False)
    with pytest.raises(Refused, match="that nothing closes"):
        list(part(b'1,"2,\n3,4,5"\n6,"7\n', ["a", "b"], ",", is_cut=False).rows(["a"]))
    # A lone quote within a field is text.
    assert read(b'1,5" pipe\n2,x\n', ["a", "b"], ",", is_cut=False) == [("1", '5" pipe'), ("2", "x")]


@pytest.mark.parametrize("size", range(1, 12))
def test_quotes_are_checked_alike_in_whatever_blocks_they_come(size: int) -> None:
    for raw, is_right in [(b'"a","b ""c"""\n"d",e\n', True), (b'"a"x,"b"\n', False), (b'a"",b\n', False)]:
        check = QuoteCheck(",")
        for first in range(0, len(raw), size):
            check.take(raw[first : first + size])
        assert (check.is_well_formed, check.quotes) == (is_right, raw.count(b'"'))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8-sig", "é,漢\r\n1,2\r\n"),
        ("utf-16", "é,漢\n1,2\n"),
        ("latin-1", "é,ü\n1,2\n"),
        ("utf-8", "\n\né,b\n1,2"),
    ],
)
def test_headers_are_read_in_their_encodings_and_skipped(encoding: str, text: str) -> None:
    raw = text.encode(encoding)
    given = None if encoding != "latin-1" else "latin-1"
    with TextStream(io.BytesIO(raw), label="it", encoding=given) as stream:
        head = stream.read().decode()
    header = read_header(head, delimiter=",", label="it")
    assert list(header.names) == next(fields for fields in csv.reader(io.StringIO(text)) if fields)
    assert head.encode()[header.text_bytes :].startswith(b"1,2")


def test_a_truncated_compression_is_refused_by_name() -> None:
    raw = gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)[:-300]
    cut = CsvPart("it", lambda: TextStream(io.BytesIO(raw), label="it"), ",", ("a", "b"), skipped_bytes=4)
    with pytest.raises(Refused, match="ends too early"):
        list(cut.rows(["a"]))


@pytest.mark.parametrize(
    ("dtype", "texts", "values", "faults"),
    [
        (LogicalDtype.INTEGER, ["1", " 2 ", "3.0", "", "NA", "x", "0x1F", "9" * 20, "1.5"], [1, 2, 3], 4),
        (LogicalDtype.FLOAT64, ["1", "1e3", "nan", "inf", "1,5"], [1.0, 1000.0, None, float("inf")], 1),
        (LogicalDtype.BOOLEAN, ["true", "0", "yes", "2", "maybe"], [True, False, True], 2),
        (LogicalDtype.DATE, ["2026-01-31", "2026-02-30", "31.1.2026"], None, 2),
        (LogicalDtype.TEXT, ["1", "", "NA"], ["1", "", "NA"], 0),
    ],
)
def test_a_text_that_is_no_value_is_a_fault_and_never_a_silent_null(
    dtype: LogicalDtype, texts: list[str], values: list[object] | None, faults: int
) -> None:
    read_as, flags = as_values(pa.array(texts), dtype)
    assert int(flags.sum()) == faults
    assert values is None or read_as.to_pylist()[: len(values)] == values
    assert all(read_as[place].as_py() is None for place in range(len(texts)) if flags[place])
    verbatim, _ = as_verbatim(pa.array(texts), dtype)
    assert verbatim.is_null().to_pylist() == read_as.is_null().to_pylist()


@given(
    st.lists(st.text('ab\\", \n', min_size=1, max_size=8), min_size=1, max_size=5),
    st.booleans(),
    st.booleans(),
)
@example(texts=['",\\'], is_cut=True, has_end=False)
def test_text_behind_a_quoted_field_is_refused_and_never_changed(
    texts: list[str], is_cut: bool, has_end: bool
) -> None:
    # As Spark writes them: a quote within a field stands behind a backslash, which is text to all others.
    rows = [(str(number), text) for number, text in enumerate(texts)]
    escaped = [f'{number},"' + text.replace('"', '\\"') + '"\n' for number, text in rows]
    asked = replace(part("".join(escaped).encode(), ["a", "b"], ",", is_cut=is_cut), has_end=has_end)
    strict = csv.reader(io.StringIO("".join(escaped), newline=""), strict=True)
    try:
        expected: list[tuple[str, ...]] | None = [tuple(row) for row in strict]
    except csv.Error:
        expected = None
    try:
        found = [row for block in asked.rows(["a", "b"]) for row in pairs(block)]
    except Refused as refused:
        # A quote in the middle of a field that is not quoted is for files that are read whole.
        assert expected is None or (is_cut and any('"' in field for row in expected for field in row))
        assert ("--whole-files" if is_cut else "quotes inside a field twice") in str(refused)  # noqa: PT017
    else:
        assert expected is None or sorted(found) == sorted(row for row in expected if len(row) == 2)
        assert expected is not None or not has_end


def pairs(block: TextRows) -> list[tuple[str, ...]]:
    """Give the rows that fit."""
    fields = (column.fill_null("").to_pylist() for column in block.texts.columns)
    rows = list(zip(*fields, strict=True))
    return [row for place, row in enumerate(rows) if place not in block.misfits]


def test_a_backslash_before_a_quote_is_refused_with_the_row_that_has_it() -> None:
    raw = b'1,x\n2,"say \\"hi\\""\n3,y\n'
    with pytest.raises(Refused, match=r"text behind a quoted field in row 2.*not behind a backslash"):
        read(raw, ["a", "b"], ",", is_cut=False)


@given(
    st.lists(st.sampled_from(["", "7", '"x\n"', '""']), min_size=1, max_size=30),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(5, 60),
)
def test_a_blank_line_of_a_file_with_one_column_is_a_row(
    lines: list[str], line_break: str, is_ended: bool, block_bytes: int
) -> None:
    assume(is_ended or lines[-1])
    raw = (line_break.join(lines) + line_break * is_ended).encode()
    with pytest.MonkeyPatch.context() as smaller:
        smaller.setattr(csv_rows, "BLOCK_BYTES", (block_bytes, 1_000))
        found = [
            (number, text)
            for rows in part(raw, ["a"], ",", is_cut=False).rows(["a"])
            for number, text in zip(rows.numbers.tolist(), rows.texts.column("a").to_pylist(), strict=True)
        ]
    assert [number for number, _ in found] == list(range(1, len(lines) + 1))
    assert [text for _, text in found] == [None if not line else line.strip('"') for line in lines]
