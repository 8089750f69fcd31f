"""Ids that are NULL or repeat, in words."""

from __future__ import annotations

from collections.abc import Sequence

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused


def refuse_counted(
    table: TableName, id_columns: Sequence[str], *, nulls: int, repeated: int, most: int | None
) -> None:
    """Refuse ids of which ``nulls`` are NULL, or ``repeated`` values stand on up to ``most`` rows each.

    Raises:
        Refused: one of both is so.
    """
    named = ", ".join(id_columns)
    if nulls:
        raise Refused(
            f"{named} of {table} is NULL in {nulls:,} of the rows; an id column identifies each row: "
            "use another --id-column, or leave these rows out with --where."
        )
    if repeated:
        raise Refused(
            f"{named} of {table} repeats: {repeated:,} of its values stand on more than one row, "
            f"one of them on {most:,}; use another --id-column, or several that are unique together."
        )
