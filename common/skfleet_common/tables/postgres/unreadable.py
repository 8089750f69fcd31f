"""Values that arrive but cannot be read: moments that Arrow cannot hold, or not take apart.

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
        flags = _beyond(array, column.dtype) if column.dtype in _MOMENTS else None
        if flags is None:
            readable.append(array)
            continue
        readable.append(pc.if_else(flags, pa.scalar(None, array.type), array))
        for row in pc.indices_nonzero(flags).to_pylist():
            reasons.setdefault(row, f"{column.name} is infinite, or after the year 32767")
    return readable, dict(sorted(reasons.items()))


def _beyond(array: pa.Array, dtype: LogicalDtype) -> pa.Array | None:
    """Give where moments are beyond what can be taken apart; None if nowhere."""
    (least, last), kind = _MOMENTS[dtype]
    ends = pc.min_max(array)
    if ends["min"].value is None or (ends["min"].value >= least and ends["max"].value <= last):
        return None
    numbers = array.cast(kind)
    return pc.or_(pc.less(numbers, least), pc.greater(numbers, last)).fill_null(False)
