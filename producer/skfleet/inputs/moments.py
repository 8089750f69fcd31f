"""Moments that can be read but not learned from, wherever they come from."""

from __future__ import annotations

import pyarrow as pa

from skfleet_common.contracts.errors import Refused
from skfleet_common.model.moments import BEYOND, beyond


def refuse_unreadable(array: pa.Array, *, column: str, label: str) -> None:
    """Refuse moments that nothing can be learned from, and which nobody asked to leave out."""
    if beyond(array) is not None:
        raise Refused(
            f"{label} has a row whose {column} {BEYOND}; make it NULL, or leave the column out with "
            f"--exclude {column}."
        )
