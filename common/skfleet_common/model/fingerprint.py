"""Fingerprint: one digest of the training rows that does not depend on their order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from skfleet_common.model.arrays import numbers
from skfleet_common.model.row_words import Words, row_words, sum_and_squares, word_of, words_of_doubles


def fingerprint(arrays: Sequence[tuple[str, pa.Array]]) -> str:
    """Give a SHA-256 over the rows of the named, equally long canonical arrays.

    Each row becomes a 64-bit word; their count, sum and sum of squares (modulo 2**64) do not depend on
    the order of the rows. It tells data sets apart; it is no defence against one made to collide.
    """
    rows = len(arrays[0][1]) if arrays else 0
    words = row_words(((name, _words(array)) for name, array in arrays), rows=rows)
    total, squares = sum_and_squares(words)
    return hashlib.sha256(f"{rows}:{total}:{squares}".encode()).hexdigest()


def _has_microseconds(array: pa.Array) -> bool:
    return bool(pa.types.is_timestamp(array.type) or pa.types.is_time(array.type))


def _words(array: pa.Array) -> Words:
    if not pa.types.is_string(array.type):
        exact = array.cast(pa.int64()) if _has_microseconds(array) else array
        exact = exact.cast(pa.int32()) if pa.types.is_date32(exact.type) else exact
        # NaN stands for NULL.
        return words_of_doubles(numbers(exact))
    encoded = array.dictionary_encode()
    words = np.array([word_of(f"={text}") for text in encoded.dictionary.to_pylist()] + [word_of("")])
    codes = encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    picked: Words = words[codes]
    return picked
