"""CSV files as people make them: a fault is one sentence that says where, an oddity is read right."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import os
import stat
from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.input_files import open_csv, read_csv, refusal_of_csv, types_of

from skfleet.inputs.dialect import check_delimiter
from skfleet.inputs.files import local_files
from skfleet.progress import Silent
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.files.text_stream import check_encoding

PLAIN = "n,city\n1,Köln\n2,Zürich\n"
ROWS = {"n": [1, 2], "city": ["Köln", "Zürich"]}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.rstrip("\n").encode(),
        b"\n\r\n" + PLAIN.replace("\n", "\n\n").encode(),
        PLAIN.encode("utf-16"),
        b"\xff\xfe\x00\x00" + PLAIN.encode("utf-32-le"),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", "|").encode(),
        PLAIN.replace("n,city", ' n ,"city"').encode(),
        gzip.compress(PLAIN.encode(), mtime=0),
        gzip.compress(PLAIN[:12].encode(), mtime=0) + gzip.compress(PLAIN[12:].encode(), mtime=0),
        bz2.compress(PLAIN.encode()),
        pa.compress(PLAIN.encode(), "zstd", asbytes=True),
        gzip.compress(b"\xef\xbb\xbf" + PLAIN.encode(), mtime=0),
    ],
    ids=[
        *[
            "plain",
            "bom",
            "crlf",
            "cr",
            "no-last-break",
            "blank-lines",
            "utf-16",
            "utf-32",
            "semicolons",
            "tabs",
        ],
        *["bars", "quoted-names", "gzip", "gzip-members", "bzip2", "zstd", "gzip-bom"],
    ],
)
def test_what_a_file_says_of_itself_is_enough(tmp_path: Path, content: bytes) -> None:
    assert read_csv(tmp_path, content).to_pydict() == ROWS


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "mac_roman"])
def test_an_encoding_that_is_named_is_taken(tmp_path: Path, encoding: str) -> None:
    assert read_csv(tmp_path, PLAIN.encode(encoding), encoding=encoding).to_pydict() == ROWS


def test_quoted_delimiters_line_breaks_and_quotes_belong_to_the_value(tmp_path: Path) -> None:
    table = read_csv(tmp_path, 'n,t\n1,"a, b"\n2,"two\nlines"\n3,"say ""hi"""\n4,5" pipe\n')
    assert table["t"].to_pylist() == ["a, b", "two\nlines", 'say "hi"', '5" pipe']


def test_a_field_may_be_larger_than_a_block(tmp_path: Path) -> None:
    table = read_csv(tmp_path, "n,t\n1,x\n2," + "y" * 6_000_000 + "\n3,z\n")
    assert [len(text) for text in table["t"].to_pylist()] == [1, 6_000_000, 1]


def test_a_delimiter_that_is_named_goes_before_what_the_file_looks_like(tmp_path: Path) -> None:
    assert types_of(open_csv(tmp_path, "a;b,c\n1;2,3\n", delimiter=",")) == {"a;b": "text", "c": "integer"}
    assert check_delimiter("tab") == check_delimiter("\\t") == "\t"


def test_another_delimiter_is_said(tmp_path: Path) -> None:
    assert "separated by semicolons" in open_csv(tmp_path, "a;b\n1;2\n").notes[0]
    assert open_csv(tmp_path, "a,b\n1,2\n").notes == ()


@pytest.mark.parametrize("delimiter", ["", ",,", "é", '"', "\n"])
def test_a_delimiter_is_one_character(delimiter: str) -> None:
    with pytest.raises(UsageError, match="one ASCII character"):
        check_delimiter(delimiter)


@pytest.mark.parametrize("encoding", ["utf-9", "rot13", "hex", "a\0b"])
def test_an_encoding_must_exist_and_encode_text(encoding: str) -> None:
    with pytest.raises(UsageError, match="cp1252"):
        check_encoding(encoding)


def test_bytes_that_are_no_text_are_named_by_line_and_position(tmp_path: Path) -> None:
    sentence = refusal_of_csv(tmp_path, "n,t\n1,a\n2,Köln\n".encode("latin-1"))
    assert "is not UTF-8: byte 0xF6 in line 3 (position 11)" in sentence
    assert "--encoding" in sentence


def test_bytes_that_are_no_text_are_found_behind_many_blocks(tmp_path: Path) -> None:
    lines = 400_000
    body = b"n,t\n" + b"1,abcdefgh\n" * lines
    sentence = refusal_of_csv(tmp_path, body + b"2,\xfc\n")
    assert f"line {lines + 2:,} (position {len(body) + 2:,})" in sentence


def test_half_a_character_at_the_end_is_no_text(tmp_path: Path) -> None:
    assert "is not UTF-8" in refusal_of_csv(tmp_path, b"n,t\n1,\xc3")


def test_a_wrong_encoding_that_was_named_is_said_to_be_wrong(tmp_path: Path) -> None:
    sentence = refusal_of_csv(tmp_path, "n,t\n1,Köln\n".encode("latin-1"), encoding="ascii")
    assert "is not ASCII" in sentence
    assert "name another" in sentence


@pytest.mark.parametrize(
    ("content", "phrases"),
    [
        ("", ["is empty"]),
        ("\n\n", ["no line of column names"]),
        ("a,b\n1,2\n3\n", ["1 field in line 3", "2 column names"]),
        ('a,b\n"x\ny",2\n\n1,2,3\n4,5,6\n', ["3 fields in line 5", "and so it is in 1 more"]),
        ('a,b\n1,x\n2,"y\n3,z\n', ["begins in line 3", "nothing closes"]),
        ('a,b\n1,x\n2,"say \\"hi\\""\n', ["begins in line 3", "text behind a quoted field"]),
        ('a,b\n1,"x"y"\n', ["line 2", "behind a quoted field"]),
        ("a,b,a\n1,2,3\n", ["2 columns called 'a'"]),
        ("a,b, a \n1,2,3\n", ["2 columns called 'a'"]),
        (",a\n0,1\n", ["no name for its column 1", "pandas"]),
        ("a,,b\n0,1,2\n", ["no name for its column 2"]),
        ("1,2.5\n3,4\n", ["begins with numbers", "names the columns"]),
        ("a,b\n1,x\0y\n", ["NUL byte in line 2", "utf-16"]),
        ("PK\x03\x04…", ["zip archive"]),
        ("PAR1…", ["--parquet"]),
        (b"\xfd7zXZ\0", ["xz"]),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 5_000, mtime=0)[:-30], ["compressed and ends too early"]),
        (gzip.compress(b"a,b\n1,2\n", mtime=0) + b"rubbish", ["compressed and is damaged"]),
    ],
)
def test_a_fault_is_one_sentence(tmp_path: Path, content: str | bytes, phrases: list[str]) -> None:
    sentence = refusal_of_csv(tmp_path, content)
    assert "rows0.csv" in sentence
    for phrase in phrases:
        assert phrase in sentence


@pytest.mark.parametrize("content", ["a,b\n", "a,b", "a,b\r\n\r\n"])
def test_a_header_alone_has_no_rows(tmp_path: Path, content: str) -> None:
    assert open_csv(tmp_path, content).rows == 0
    assert read_csv(tmp_path, content).num_rows == 0


def test_files_with_the_same_columns_are_read_as_one(tmp_path: Path) -> None:
    table = read_csv(tmp_path, "a,b\n1,x\n", "b;a\ny;2.5\n", gzip.compress(b"a,b\n3,z\n", mtime=0))
    assert table.to_pydict() == {"a": [1.0, 2.5, 3.0], "b": ["x", "y", "z"]}


def test_files_with_other_columns_are_refused(tmp_path: Path) -> None:
    sentence = refusal_of_csv(tmp_path, "a,b\n1,2\n", "a,c\n1,2\n")
    assert "rows0.csv has a column 'b' and" in sentence
    assert "rows1.csv has none" in sentence


def test_a_fault_in_the_second_file_is_named_there(tmp_path: Path) -> None:
    sentence = refusal_of_csv(tmp_path, "a,b\n" + "1,2\n" * 50, "a,b\n3,4\nx,5\n")
    assert f"line 3 of {tmp_path / 'rows1.csv'}" in sentence


def test_what_was_read_stands_in_the_origin(tmp_path: Path) -> None:
    opened = open_csv(tmp_path, gzip.compress(PLAIN.encode(), mtime=0))
    (file,) = opened.origin.files
    content = (tmp_path / "rows0.csv").read_bytes()
    assert (file.size, opened.origin.kind) == (len(content), "csv")
    assert file.sha256 == hashlib.sha256(content).hexdigest()


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("a\n1\n")
    (tmp_path / "closed.csv").write_text("a\n1\n")
    (tmp_path / "closed.csv").chmod(0)
    os.mkfifo(tmp_path / "pipe")
    expected = {
        "": "is a directory",
        "flihgts.csv": "did you mean flights.csv?",
        "*.tsv": "No file matches",
        "pipe": "no regular file",
        "flights.csv/x": "cannot be read (Not a directory)",
        "a" * 300: "File name too long",
    }
    if os.geteuid():
        expected["closed.csv"] = "may not be read by this user"
    for name, phrase in expected.items():
        with pytest.raises(Refused) as refused:
            local_files(str(tmp_path / name), flag="--csv")
        assert phrase in str(refused.value)
    assert stat.S_IMODE((tmp_path / "closed.csv").stat().st_mode) == 0


def test_a_pattern_names_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "[odd].csv"):
        (tmp_path / name).write_text("x\n1\n")
    found = [file.path.name for file in local_files(str(tmp_path / "?.csv"), flag="--csv")]
    assert found == ["a.csv", "b.csv"]
    # A file that is really called so is that file.
    assert local_files(str(tmp_path / "[odd].csv"), flag="--csv")[0].path.name == "[odd].csv"


def test_a_file_that_changes_between_the_two_readings_is_refused(tmp_path: Path) -> None:
    opened = open_csv(tmp_path, "a,b\n1,2\n")
    (tmp_path / "rows0.csv").write_text("a,b\n1,3\n")
    with pytest.raises(Refused, match="changed while it was read"):
        opened.read(["a"], steps=Silent())
