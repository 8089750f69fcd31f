"""The checksum of output rows: the same for any order and any split, another for other values."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet_common.model.checksum import Checksum

#: What UTF-8, and so a database, can hold.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_ROW = st.tuples(_TEXT, st.none() | _TEXT, st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans())
_ROWS = st.lists(_ROW, max_size=20)
_TYPES = {"id": pa.string(), "note": pa.string(), "p": pa.float64(), "class": pa.int64(), "late": pa.bool_()}

Row = tuple[Any, ...]


def _of(rows: list[Row]) -> Checksum:
    arrays = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(_TYPES.values())]
    return Checksum.of(pa.RecordBatch.from_arrays(arrays, names=list(_TYPES)))


@given(_ROWS, st.data())
def test_order_and_chunks_do_not_matter(rows: list[Row], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    assert _of(shuffled[:cut]) + _of(shuffled[cut:]) == _of(rows)
    assert _of(rows) - _of(shuffled[cut:]) == _of(shuffled[:cut])


@given(_ROWS.filter(bool), st.data())
def test_another_value_anywhere_makes_another_checksum(rows: list[Row], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    other = data.draw(_ROW.filter(lambda row: _plain(row) != _plain(rows[at])))
    assert _of([*rows[:at], other, *rows[at + 1 :]]) != _of(rows)


@given(_ROWS.filter(bool))
def test_a_row_lost_or_doubled_makes_another_checksum(rows: list[Row]) -> None:
    assert _of(rows[1:]) != _of(rows)
    assert _of([*rows, rows[0]]) != _of(rows)


def test_values_that_change_places_between_rows_or_columns_make_another_checksum() -> None:
    one, two = ("1", "a", 0.25, 7, True), ("2", "b", 0.75, 8, False)
    assert _of([one, two]) != _of([("1", "b", *one[2:]), ("2", "a", *two[2:])])
    assert _of([("a", "b", 0.0, 0, False)]) != _of([("b", "a", 0.0, 0, False)])


def test_null_is_not_an_empty_text_and_large_integers_are_told_apart() -> None:
    assert _of([("1", None, 0.0, 0, False)]) != _of([("1", "", 0.0, 0, False)])
    assert _of([("1", "", 0.0, 2**53, False)]) != _of([("1", "", 0.0, 2**53 + 1, False)])


@given(_ROWS)
def test_32_hexadecimal_digits_say_it_all(rows: list[Row]) -> None:
    checksum = _of(rows)
    assert len(str(checksum)) == 32
    assert Checksum.parse(str(checksum)) == checksum


def test_no_rows_have_zeros() -> None:
    assert str(_of([])) == str(Checksum()) == "0" * 32


@given(_ROW)
def test_it_is_what_the_documentation_says(row: Row) -> None:
    """Recomputed in plain Python, from the description in docs/certificate.md alone."""
    word = 0
    for (name, kind), value in zip(_TYPES.items(), row, strict=True):
        word = _mix(word ^ _mix(_word(value, kind) ^ _sha_word(name)))
    assert str(_of([row])) == f"{word:016x}{word * word % 2**64:016x}"


def test_the_checksum_stays_what_it_was() -> None:
    rows = [("1", "Köln", 0.25, -7, True), ("2", None, -0.0, 2**62, False)]
    assert str(_of(rows)) == "68c19158761874c69f7a81539f0e8d12"


def _plain(row: Row) -> Row:
    """Give the values that count as one in one form: both zeros, and all NaNs."""
    number = row[2]
    return (*row[:2], "nan" if number != number else number + 0.0, *row[3:])  # noqa: PLR0124


def _word(value: Any, kind: pa.DataType) -> int:
    if value is None:
        return _sha_word("")
    if kind == pa.string():
        return _finish(_siphash(value.encode()))
    if kind == pa.float64():
        return _bits(value)
    return int(value) % 2**64


def _bits(value: float) -> int:
    value = float("nan") if value != value else value + 0.0  # noqa: PLR0124
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def _sha_word(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _mix(word: int) -> int:
    return _finish((word + 0x9E3779B97F4A7C15) % 2**64)


def _finish(word: int) -> int:
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    return word ^ word >> 31


def _siphash(text: bytes) -> int:
    """Give SipHash-2-4 (Aumasson and Bernstein, 2012) under the key ``0123456789123456``."""
    mask = 2**64 - 1
    low, high = int.from_bytes(b"01234567", "little"), int.from_bytes(b"89123456", "little")
    a, b = low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D
    c, d = low ^ 0x6C7967656E657261, high ^ 0x7465646279746573

    def turn(word: int, bits: int) -> int:
        return (word << bits | word >> (64 - bits)) & mask

    def rounds(count: int) -> None:
        nonlocal a, b, c, d
        for _ in range(count):
            a, c = (a + b) & mask, (c + d) & mask
            b, d = turn(b, 13) ^ a, turn(d, 16) ^ c
            a, c = (turn(a, 32) + d) & mask, (c + b) & mask
            b, d = turn(b, 17) ^ c, turn(d, 21) ^ a
            c = turn(c, 32)

    padded = text + bytes(-(len(text) + 1) % 8) + bytes([len(text) % 256])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        d ^= word
        rounds(2)
        a ^= word
    c ^= 0xFF
    rounds(4)
    return a ^ b ^ c ^ d


@pytest.mark.parametrize("text", ["", "a", "1234567", "12345678", "東京 and more"])
def test_text_is_hashed_by_siphash(text: str) -> None:
    word = _mix(_mix(_finish(_siphash(text.encode())) ^ _sha_word("t")))
    assert Checksum.of(pa.RecordBatch.from_arrays([pa.array([text])], names=["t"])).total == word
