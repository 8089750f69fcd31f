"""Moments that can be read but not learned from, wherever they come from."""

from __future__ import annotations

import pyarrow as pa

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.postgres.unreadable import readable_features


def refuse_unreadable(array: pa.Array, dtype: LogicalDtype, *, column: str, label: str) -> None:
    """Refuse moments that nothing can be learned from, and which nobody asked to leave out."""
    described = Column(name=column, warehouse_type=str(array.type), dtype=dtype)
    _, reasons = readable_features([array], [described])
    for reason in reasons.values():
        raise Refused(
            f"{label} has a row whose {reason}; make it NULL, or leave the column out with --exclude {column}."
        )
