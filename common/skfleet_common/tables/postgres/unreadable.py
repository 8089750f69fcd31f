"""Values that arrive but cannot be read: moments that Arrow cannot hold, and text that is no UTF-8.

They fail nothing here: the rows that hold them are named, and whoever reads decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import Column, LogicalDtype

#: PostgreSQL's own least moment is in 4713 BC. Infinity, and years after 294246, overflow Arrow's
#: microseconds and days to values far below that; and of years after 32767 Arrow tells wrong parts, silently.
_LEAST_DAY, _LAST_DAY = -2_500_000, 11_248_737
_MICROSECONDS_A_DAY = 86_400_000_000
_DAYS = (_LEAST_DAY, _LAST_DAY)
_MICROSECONDS = (_LEAST_DAY * _MICROSECONDS_A_DAY, (_LAST_DAY + 1) * _MICROSECONDS_A_DAY - 1)
_MOMENTS = {
    LogicalDtype.DATE: (_DAYS, pa.int32()),
    LogicalDtype.TIMESTAMP: (_MICROSECONDS, pa.int64()),
    LogicalDtype.TIMESTAMPTZ: (_MICROSECONDS, pa.int64()),
}


def readable_features(
    arrays: Sequence[pa.Array], columns: Sequence[Column]
) -> tuple[list[pa.Array], dict[int, str]]:
    """Give feature columns with NULL for what cannot be read, and why by row."""
    readable: list[pa.Array] = []
    reasons: dict[int, str] = {}
    for array, column in zip(arrays, columns, strict=True):
        if column.dtype in _MOMENTS:
            flags = _beyond(array, column.dtype)
            reason = f"{column.name} is infinite, or after the year 32767"
        else:
            flags = _not_text(array)
            reason = f"{column.name} is no UTF-8 text"
        if flags is None:
            readable.append(array)
        else:
            readable.append(pc.if_else(flags, pa.scalar(None, array.type), array))
            _note(reasons, flags, reason)
    return readable, reasons


def readable_texts(arrays: Sequence[pa.Array], names: Sequence[str]) -> tuple[list[pa.Array], dict[int, str]]:
    """Give text columns with U+FFFD in the place of what is no UTF-8, and why by row."""
    readable: list[pa.Array] = []
    reasons: dict[int, str] = {}
    for array, name in zip(arrays, names, strict=True):
        flags = _not_text(array)
        if flags is None:
            readable.append(array)
        else:
            readable.append(pa.array([_mended(raw) for raw in _raws(array)], pa.string()))
            _note(reasons, flags, f"{name} is no UTF-8 text")
    return readable, reasons


def _beyond(array: pa.Array, dtype: LogicalDtype) -> pa.Array | None:
    (least, last), kind = _MOMENTS[dtype]
    ends = pc.min_max(array)
    if ends["min"].value is None or (ends["min"].value >= least and ends["max"].value <= last):
        return None
    numbers = array.cast(kind)
    return pc.or_(pc.less(numbers, least), pc.greater(numbers, last)).fill_null(False)


def _not_text(array: pa.Array) -> pa.Array | None:
    """Give where a text is no UTF-8, which a database of encoding SQL_ASCII may hold; None if nowhere."""
    if not pa.types.is_string(array.type):
        return None
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return pa.array([raw is not None and _mended(raw) != raw for raw in _raws(array)])
    return None


def _raws(array: pa.Array) -> list[bytes | None]:
    raws: list[bytes | None] = array.cast(pa.binary()).to_pylist()
    return raws


def _mended(raw: bytes | None) -> bytes | None:
    return None if raw is None else raw.decode(errors="replace").encode()


def _note(reasons: dict[int, str], flags: pa.Array, reason: str) -> None:
    for row in pc.indices_nonzero(flags).to_pylist():
        reasons.setdefault(row, reason)
