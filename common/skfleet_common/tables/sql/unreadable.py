"""Values that arrive but cannot be read: moments that Arrow cannot hold, or not take apart.

They fail nothing here: the rows that hold them are named, and whoever reads decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import Column
from skfleet_common.model.moments import BEYOND, beyond


def readable_features(
    arrays: Sequence[pa.Array], columns: Sequence[Column]
) -> tuple[list[pa.Array], dict[int, str]]:
    """Give feature columns with NULL for what cannot be read, and why by row."""
    readable: list[pa.Array] = []
    reasons: dict[int, str] = {}
    for array, column in zip(arrays, columns, strict=True):
        flags = beyond(array)
        if flags is None:
            readable.append(array)
            continue
        readable.append(pc.if_else(pa.array(flags), pa.scalar(None, array.type), array))
        for row in np.flatnonzero(flags).tolist():
            reasons.setdefault(row, f"{column.name} {BEYOND}")
    return readable, dict(sorted(reasons.items()))
