"""Row words: one 64-bit word a row, whose sums do not depend on the order of the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]


def row_words(columns: Iterable[tuple[str, Words]], *, rows: int) -> Words:
    """Fold the words of named columns, in their order, into one word a row."""
    words: Words = np.zeros(rows, dtype=np.uint64)
    for name, values in columns:
        words = _mix(words ^ _mix(values ^ word_of(name)))
    return words


def sum_and_squares(words: Words) -> tuple[int, int]:
    """Give the sum of the words and that of their squares, modulo 2**64."""
    return int(words.sum(dtype=np.uint64)), int((words * words).sum(dtype=np.uint64))


def word_of(text: str) -> np.uint64:
    """Give the word of a single text, such as a column's name; the empty text stands for NULL."""
    return np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))


def words_of_doubles(values: npt.NDArray[np.float64]) -> Words:
    """Give the bits of doubles: both zeros are one, and so are all NaNs."""
    values = values + 0.0
    values[np.isnan(values)] = np.nan
    return values.view(np.uint64)


def _mix(words: Words) -> Words:
    """Spread every bit over the word (the finaliser of SplitMix64, which is a bijection)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
