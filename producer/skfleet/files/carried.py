"""Carried texts: what ids and carried columns of CSV files are, so that none of their texts is changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from skfleet.inputs.tally import Tally
from skfleet_common.contracts.columns import LogicalDtype, type_word
from skfleet_common.contracts.errors import shown
from skfleet_common.files.own_spellings import as_written
from skfleet_common.files.typed_texts import as_values


@dataclass(frozen=True)
class Carried:
    """What a column is carried as."""

    dtype: LogicalDtype
    #: Whether nobody asked for the type, so that a text that it would change is not to be changed.
    as_written: bool
    #: Why it is text, as the end of a sentence that begins with the column's name; empty where it looks so.
    because: str = ""


def inferred(texts: pa.Array) -> LogicalDtype:
    """Give what texts look like."""
    tally = Tally()
    tally.add(texts, file=0, first_row=0)
    return tally.as_inferred().dtype


def carried(
    name: str, texts: pa.Array, *, asked: LogicalDtype | None, wanted: LogicalDtype | None
) -> Carried:
    """Tell it from a column's texts in the files' first rows.

    ``asked`` is what the user says, ``wanted`` what a model reads it as: what is no such value is told of the
    model's column already.
    """
    if asked is not None:
        return Carried(asked, as_written=False)
    dtype = LogicalDtype.FLOAT64 if wanted is LogicalDtype.FLOAT32 else wanted or inferred(texts)
    _, changed = as_written(texts, dtype)
    if wanted is not None:
        changed &= ~as_values(texts, wanted)[1]
    if not changed.any():
        return Carried(dtype, as_written=True)
    example = texts[int(np.flatnonzero(changed)[0])].as_py()
    because = (
        f"is carried as text, for {shown(example)!r} would be changed as {type_word(dtype)}; --type "
        f"{name}={type_word(dtype)} carries values"
    )
    return Carried(LogicalDtype.TEXT, as_written=True, because=because)
