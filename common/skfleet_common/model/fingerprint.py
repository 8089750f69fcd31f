"""Fingerprint: one digest of the training rows that does not depend on their order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skfleet_common.model.arrays import numbers

_Words = npt.NDArray[np.uint64]


def fingerprint(arrays: Sequence[tuple[str, pa.Array]]) -> str:
    """Give a SHA-256 over the rows of the named, equally long canonical arrays.

    Each row becomes a 64-bit word; their count, sum and sum of squares (modulo 2**64) do not depend on
    the order of the rows. It tells data sets apart; it is no defence against one made to collide.
    """
    rows: _Words = np.zeros(len(arrays[0][1]) if arrays else 0, dtype=np.uint64)
    for name, array in arrays:
        rows = _mix(rows ^ _mix(_words(array) ^ _word_of(name)))
    total = int(rows.sum(dtype=np.uint64))
    squares = int((rows * rows).sum(dtype=np.uint64))
    return hashlib.sha256(f"{len(rows)}:{total}:{squares}".encode()).hexdigest()


def _words(array: pa.Array) -> _Words:
    if not pa.types.is_string(array.type):
        exact = array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array
        exact = exact.cast(pa.int32()) if pa.types.is_date32(exact.type) else exact
        # + 0.0 makes the two zeros one; NaN stands for NULL, in its one canonical form.
        values = numbers(exact) + 0.0
        values[np.isnan(values)] = np.nan
        return values.view(np.uint64)
    encoded = array.dictionary_encode()
    words = np.array([_word_of(f"={text}") for text in encoded.dictionary.to_pylist()] + [_word_of("")])
    codes = encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    picked: _Words = words[codes]
    return picked


def _word_of(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))


def _mix(words: _Words) -> _Words:
    """Spread every bit over the word (the finaliser of SplitMix64, which is a bijection)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
