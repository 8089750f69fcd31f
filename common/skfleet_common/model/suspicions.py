"""Suspicions: signs that a column is an identifier, nearly constant or the target in other words."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from skfleet_common.model.arrays import FloatArray, numbers

#: In fewer rows, much is unique or constant by chance.
ENOUGH_ROWS = 20

#: Text that is different in nearly every row names the rows; so does much text that is different in most.
_NAMING_SHARE = 0.9
_MANY_LEVELS = 1_000
_MANY_LEVELS_SHARE = 0.5

#: Sentences have words; codes and names have few.
_FREE_TEXT_WORDS = 4.0
_WORDS_ROWS = 1_000

#: Beyond this, a category's levels alone would outweigh the model.
MAX_LEVELS = 10_000

#: A column with one value in this share of the rows or more has hardly anything to tell.
_NEAR_CONSTANT_SHARE = 0.99

#: Numbers in a row, but for some that are gone.
_DENSE = 1.05


def names_rows(distinct: int, rows: int) -> bool:
    """Whether so many different texts in so many rows are names of the rows."""
    if distinct > _MANY_LEVELS and distinct > _MANY_LEVELS_SHARE * rows:
        return True
    return rows >= ENOUGH_ROWS and distinct > _NAMING_SHARE * rows


def is_free_text(array: pa.Array) -> bool:
    """Whether text reads like sentences."""
    some = array.drop_null().slice(0, _WORDS_ROWS)
    return bool(pc.mean(pc.list_value_length(pc.utf8_split_whitespace(some))).as_py() >= _FREE_TEXT_WORDS)


def counts_rows(array: pa.Array, distinct: int) -> bool:
    """Whether integers without NULL number the rows: each its own, at equal distances but for some gaps."""
    if not pt.is_integer(array.type) or array.null_count or distinct < len(array) or distinct < ENOUGH_ROWS:
        return False
    steps = np.diff(np.sort(array.to_numpy(zero_copy_only=False)))
    if (steps < 0).any():
        # Differences overflowed: so far apart, nothing is a number of rows.
        return False
    return bool(int(steps.sum()) // int(np.gcd.reduce(steps)) + 1 <= _DENSE * len(array))


def is_unique_integer(array: pa.Array, distinct: int) -> bool:
    """Whether every row has an integer of its own."""
    return bool(
        pt.is_integer(array.type)
        and array.null_count == 0
        and distinct == len(array)
        and distinct >= ENOUGH_ROWS
    )


def main_share(values: FloatArray) -> float:
    """Give the share of the most frequent number if it is in most rows, else any lower share."""
    # What is in more than half of the rows is the median.
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    return float(np.mean(values == middle)) if middle == middle else 0.0  # noqa: PLR0124  (NaN is not itself)


def is_near_constant(share: float, rows: int) -> bool:
    """Whether one value is in nearly all rows."""
    return share >= _NEAR_CONSTANT_SHARE and rows >= ENOUGH_ROWS


def says_the_same(feature: pa.Array, target: pa.Array) -> bool:
    """Whether a feature without NULL tells the target: equal to it, or a value for each of its values."""
    if feature.null_count or target.null_count or len(feature) < ENOUGH_ROWS:
        return False
    if _is_number(feature) and _is_number(target) and bool(np.array_equal(numbers(feature), numbers(target))):
        return True
    if not (pt.is_string(feature.type) or _is_number(feature)):
        return False
    here, there = feature.dictionary_encode(), target.dictionary_encode()
    count = len(here.dictionary)
    # Two columns that are different in most rows go together by chance.
    if count != len(there.dictionary) or count < 2 or 2 * count > len(feature):  # noqa: PLR2004
        return False
    pairs = here.indices.to_numpy().astype(np.int64) * count + there.indices.to_numpy()
    return len(np.unique(pairs)) == count


def _is_number(array: pa.Array) -> bool:
    return bool(pt.is_integer(array.type) or pt.is_floating(array.type) or pt.is_boolean(array.type))
