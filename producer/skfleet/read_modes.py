"""How a table is read: each worker its range, or all of them files that the warehouse wrote once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Each reader's result is gathered on Redshift's leader, which then gives it out: fine for small tables.
SMALL_ROWS = 1_000_000
#: How many readers a leader serves beside everybody else's queries.
FEW_SCORERS = 8


class ReadMode(StrEnum):
    """What ``--read`` says."""

    SELECT = "select"
    UNLOAD = "unload"
    AUTO = "auto"


@dataclass(frozen=True)
class Reading:
    """How a table is read: ``select`` or ``unload``; why is empty where it was asked for."""

    mode: ReadMode
    why: str = ""

    @property
    def notes(self) -> list[str]:
        """What to tell the person who left it to skfleet."""
        return [f"--read auto chose {self.mode}: {self.why}."] if self.why else []


#: Each worker its range, because that was asked for, or because there is no other way.
SELECTED = Reading(ReadMode.SELECT)


def choose_reading(
    *, rows: int | None, is_sorted_by_key: bool | None, scorers: int, has_role: bool
) -> Reading:
    """Decide for a table of Redshift of about so many rows; None is what is not known."""
    if not has_role:
        return Reading(ReadMode.SELECT, "SKFLEET_REDSHIFT_IAM_ROLE is not set, and UNLOAD needs it")
    if rows is not None and rows <= SMALL_ROWS:
        return Reading(ReadMode.SELECT, f"about {rows:,} rows are few")
    if scorers > FEW_SCORERS:
        return Reading(
            ReadMode.UNLOAD, f"{scorers:,} scoring processes would wait for Redshift's leader with select"
        )
    if is_sorted_by_key is None:
        return Reading(
            ReadMode.UNLOAD, "no sort key is known of a view, so each range might scan all that it reads"
        )
    if not is_sorted_by_key:
        return Reading(
            ReadMode.UNLOAD, "the split column is not the sort key, so each range would scan all the table"
        )
    return Reading(
        ReadMode.SELECT, f"{scorers:,} scoring processes are few, and the split column is the sort key"
    )
