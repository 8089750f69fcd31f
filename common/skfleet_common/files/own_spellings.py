"""Own spellings: texts of which nothing is lost when they become values of a type.

``7`` is an integer's own spelling; ``07``, ``+7``, ``7.0`` and a blank before it are not: whoever has the
value cannot tell what was written, and an id that was changed so is another id.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.files.typed_texts import Flags, as_values

_DATE = r"\d{4}-\d{2}-\d{2}"
#: No warehouse keeps more than microseconds.
_CLOCK = r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
_WHOLE = r"-?(0|[1-9]\d*)"
#: As programs write it that write no more digits than there are; ``7.50`` is not.
_FLOAT = rf"{_WHOLE}(\.(0|\d*[1-9]))?([eE][+-]?\d+)?"

_OWN = {
    LogicalDtype.FLOAT64: _FLOAT,
    LogicalDtype.DECIMAL: rf"{_WHOLE}(\.\d+)?",
    LogicalDtype.BOOLEAN: "(?i:true|false)",
    LogicalDtype.DATE: _DATE,
    LogicalDtype.TIME: _CLOCK,
    LogicalDtype.TIMESTAMP: rf"{_DATE}[ T]{_CLOCK}",
    LogicalDtype.TIMESTAMPTZ: rf"{_DATE}[ T]{_CLOCK} ?(Z|[+-]\d{{2}}(:?\d{{2}})?)",
}
_TEXTS = {LogicalDtype.TEXT, LogicalDtype.OTHER}

#: A number of so many digits comes back from a double as it was.
_FEW_DIGITS = r"^-?[0.]{0,20}(\d\.?){0,15}$"


def as_written(texts: pa.Array, dtype: LogicalDtype) -> tuple[pa.Array, Flags]:
    """Give texts as a warehouse takes them for values of a type, and which of them it would change.

    Those are NULL. Nothing is NULL, too, as in every column that is no text. Single precision is none of the
    types: it keeps too few digits.
    """
    unchanged: Flags = np.zeros(len(texts), dtype=np.bool_)
    if dtype in _TEXTS:
        return texts, unchanged
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    changed = ~_kept(texts, dtype)
    texts = pc.if_else(pa.array(changed), pa.scalar(None, pa.string()), texts)
    return pc.ascii_lower(texts) if dtype is LogicalDtype.BOOLEAN else texts, changed


def _kept(texts: pa.Array, dtype: LogicalDtype) -> Flags:
    """Give which texts come back from their values, or are NULL."""
    if dtype is LogicalDtype.INTEGER:
        return _come_back(texts, dtype)
    kept: Flags = np.asarray(
        pc.fill_null(pc.match_substring_regex(texts, f"^({_OWN[dtype]})$"), fill_value=True)
    )
    if dtype is LogicalDtype.DECIMAL:
        # It is carried as the text that it is.
        return kept
    own = pc.if_else(pa.array(kept), texts, pa.scalar(None, pa.string()))
    kept = kept & ~as_values(own, dtype)[1]
    return kept & _digits_kept(own) if dtype is LogicalDtype.FLOAT64 else kept


def _come_back(texts: pa.Array, dtype: LogicalDtype) -> Flags:
    values, faults = as_values(texts, dtype)
    back: Flags = np.asarray(pc.fill_null(pc.equal(values.cast(pa.string()), texts), fill_value=False))
    nulls: Flags = np.asarray(pc.is_null(texts))
    return (back & ~faults) | nulls


def _digits_kept(texts: pa.Array) -> Flags:
    """Give which numbers have no more digits than a double has."""
    kept = np.array(pc.fill_null(pc.match_substring_regex(texts, _FEW_DIGITS), fill_value=True))
    left = np.flatnonzero(~kept)
    if len(left):
        kept[left] = _come_back(texts.take(pa.array(left)), LogicalDtype.FLOAT64)
    for place in np.flatnonzero(~kept).tolist():
        text = texts[place].as_py()
        kept[place] = Decimal(text) == Decimal(repr(float(text)))
    return kept
