"""Checksum: what the published rows of a job add up to, whatever their order and whoever adds them.

docs/certificate.md says how it is computed, for whoever wants to check it without skfleet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from skfleet_common.model.arrays import numbers
from skfleet_common.model.row_words import Words, row_words, sum_and_squares, word_of, words_of_doubles

#: Hexadecimal digits of a 64-bit word.
_DIGITS = 16
_MODULUS = 2**64

#: What pandas.util.hash_array would use by itself; written here, for the checksum must stay what it was.
_SIPHASH_KEY = "0123456789123456"


@dataclass(frozen=True)
class Checksum:
    """The sum of the rows' words and that of their squares, modulo 2**64; no rows have zeros.

    It tells sets of rows apart; it is no defence against rows that are made to collide.
    """

    total: int = 0
    squares: int = 0

    @classmethod
    def of(cls, rows: pa.RecordBatch) -> Self:
        """Give the checksum of output rows: verbatim columns are text, the model's are typed."""
        columns = ((name, _words(rows.column(name))) for name in rows.schema.names)
        return cls(*sum_and_squares(row_words(columns, rows=rows.num_rows)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` gives."""
        return cls(int(text[:_DIGITS], 16), int(text[_DIGITS:], 16))

    def __add__(self, other: Checksum) -> Checksum:
        """Give the checksum of both sets of rows together."""
        return Checksum((self.total + other.total) % _MODULUS, (self.squares + other.squares) % _MODULUS)

    def __sub__(self, other: Checksum) -> Checksum:
        """Give the checksum of what is left without the other's rows."""
        return Checksum((self.total - other.total) % _MODULUS, (self.squares - other.squares) % _MODULUS)

    def __str__(self) -> str:
        """Give 32 hexadecimal digits."""
        return f"{self.total:0{_DIGITS}x}{self.squares:0{_DIGITS}x}"


def _words(array: pa.Array) -> Words:
    if pt.is_string(array.type):
        words = _words_of_text(array)
    elif pt.is_floating(array.type):
        words = words_of_doubles(numbers(array))
    else:
        words = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64)
    if array.null_count:
        words = np.where(array.is_null().to_numpy(zero_copy_only=False), word_of(""), words)
    return words


def _words_of_text(array: pa.Array) -> Words:
    """Give SipHash-2-4 of each text's UTF-8, spread once more by pandas (SplitMix64's finaliser)."""
    texts = array.fill_null("").to_numpy(zero_copy_only=False)
    # Ids are all different: to sort out equal ones first would cost three times as much (measured).
    words: Words = pd.util.hash_array(texts, hash_key=_SIPHASH_KEY, categorize=False)
    return words
