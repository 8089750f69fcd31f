"""Typed texts: what the texts of a CSV column are as values of a type, and which of them are none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.files.spellings import PATTERNS, TAKES, Spelling, as_type, spelt

Flags = npt.NDArray[np.bool_]

#: A whole number as programs write it that know of no other than floating-point ones.
_WHOLE = r"^(\s*[+-]?\d+)\.0*\s*$"

_TEXTS = {LogicalDtype.TEXT, LogicalDtype.OTHER}


def as_values(texts: pa.Array, dtype: LogicalDtype) -> tuple[pa.Array, Flags]:
    """Give texts as values of a type, NULL for those that are none, and which these are.

    Nothing, and a word for nothing, is NULL; that is no fault.
    """
    faults: Flags = np.zeros(len(texts), dtype=np.bool_)
    if dtype in _TEXTS:
        return texts, faults
    plain = _plain(texts, dtype)
    if plain is not None:
        return plain, faults
    if dtype is LogicalDtype.INTEGER:
        texts = pc.replace_substring_regex(texts, _WHOLE, r"\1")
    taken = _taken(texts, dtype)
    faults |= ~taken
    faults |= _beyond(_without(texts, faults), dtype)
    return as_type(_without(texts, faults), dtype), faults


def as_verbatim(texts: pa.Array, dtype: LogicalDtype) -> tuple[pa.Array, Flags]:
    """Give texts as a warehouse takes them for values of a type, NULL for those that are none."""
    values, faults = as_values(texts, dtype)
    if dtype in _TEXTS:
        return texts, faults
    if dtype in {LogicalDtype.INTEGER, LogicalDtype.BOOLEAN}:
        return values.cast(pa.string()), faults
    return pc.if_else(
        pc.is_valid(values), pc.utf8_trim_whitespace(texts), pa.scalar(None, pa.string())
    ), faults


def without_nulls(texts: pa.Array, null_texts: Sequence[str]) -> pa.Array:
    """Give texts without those that mean NULL wherever they stand."""
    if not null_texts:
        return texts
    meant = pc.is_in(texts, value_set=pa.array(null_texts, pa.string()))
    return pc.if_else(meant, pa.scalar(None, pa.string()), texts)


def _plain(texts: pa.Array, dtype: LogicalDtype) -> pa.Array | None:
    """Give numbers that Arrow reads as they are, at several times the speed; None if there are others."""
    if dtype not in {LogicalDtype.INTEGER, LogicalDtype.FLOAT64, LogicalDtype.DECIMAL}:
        return None
    try:
        values = texts.cast(pa.int64() if dtype is LogicalDtype.INTEGER else pa.float64())
    except pa.ArrowInvalid:
        return None
    # What Arrow takes beside: hexadecimal numbers, and a word that means NULL here.
    odd = (
        pc.match_substring(texts, "x", ignore_case=True)
        if dtype is LogicalDtype.INTEGER
        else pc.is_nan(values)
    )
    return None if pc.any(odd, min_count=0).as_py() else values


def _taken(texts: pa.Array, dtype: LogicalDtype) -> Flags:
    """Give which texts a type takes, or are NULL."""
    taken = np.array(pc.is_null(texts))
    for spelling in (Spelling.BLANK, Spelling.NULL, *sorted(TAKES[dtype] & set(PATTERNS))):
        left = np.flatnonzero(~taken)
        if not len(left):
            break
        some = texts.take(pa.array(left))
        flags = (
            spelt(some, spelling) if spelling in PATTERNS else pa.array(np.zeros(len(left), dtype=np.bool_))
        )
        taken[left] = np.asarray(flags)
    return taken


def _beyond(texts: pa.Array, dtype: LogicalDtype) -> Flags:
    """Give which texts are spelt as values of a type and are none all the same: integers of twenty digits."""
    faults: Flags = np.zeros(len(texts), dtype=np.bool_)
    pending = [(0, len(texts))]
    while pending:
        first, stop = pending.pop()
        try:
            as_type(texts.slice(first, stop - first), dtype)
        except pa.ArrowInvalid:
            if stop - first == 1:
                faults[first] = True
            else:
                middle = (first + stop) // 2
                pending += [(first, middle), (middle, stop)]
    return faults


def _without(texts: pa.Array, faults: Flags) -> pa.Array:
    return pc.if_else(pa.array(faults), pa.scalar(None, texts.type), texts) if faults.any() else texts
