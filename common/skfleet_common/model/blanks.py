"""Blanks at the end of texts, which ``character(n)`` adds and which mean nothing there.

A reader hands such a column over without them; files and drivers keep them. What was trained on either must
see the same texts in both.
"""

from __future__ import annotations

import re
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

#: As PostgreSQL spells the types that fill texts up.
_PADDED = re.compile(r"character(\(\d+\))?|bpchar")


class Blanks(StrEnum):
    """What blanks at the end of a text feature are to the model; of a feature without any, nothing."""

    #: They are left aside, wherever the text comes from.
    IGNORED = "ignored"
    #: Some training texts ended in them, and are other texts without them.
    KEPT = "kept"


def is_padded(warehouse_type: str) -> bool:
    """Whether the type fills its texts up with blanks, and hands them over without."""
    return _PADDED.fullmatch(warehouse_type) is not None


def blanks_of(array: pa.Array, warehouse_type: str) -> Blanks | None:
    """Give what blanks are to a model that learns from such a column."""
    if not pa.types.is_string(array.type):
        return None
    if is_padded(warehouse_type):
        return Blanks.IGNORED
    return Blanks.KEPT if _some_end_in_blanks(array) else None


def padded_length(array: pa.Array) -> int | None:
    """Give the length that all texts were filled up to; None if they were not.

    Texts of one length stay as many different ones when the blanks go.
    """
    if not _some_end_in_blanks(array):
        return None
    lengths = pc.min_max(pc.utf8_length(array))
    least, most = lengths["min"].as_py(), lengths["max"].as_py()
    return int(least) if least == most else None


def without_blanks(array: pa.Array, blanks: Blanks | None = Blanks.IGNORED) -> pa.Array:
    """Give the texts as a model with such a feature takes them."""
    return pc.utf8_rtrim(array, characters=" ") if blanks is Blanks.IGNORED else array


def _some_end_in_blanks(array: pa.Array) -> bool:
    return bool(pc.any(pc.ends_with(array, " "), min_count=0).as_py())
