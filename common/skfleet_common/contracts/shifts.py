"""Shift: how far the rows of a job are from those that its model was trained on, column by column."""

from __future__ import annotations

from enum import StrEnum

from pydantic import NonNegativeFloat, NonNegativeInt

from skfleet_common.contracts.shapes import Shape, StoredShape

#: Columns that a certificate lists; ``shift.json`` has them all.
WORST = 20


class ShiftKind(StrEnum):
    """What was compared."""

    FEATURE = "feature"
    #: A numeric output of the model, against rows that were held out in training.
    SCORE = "score"
    #: How many rows were rejected.
    REJECTS = "rejects"


class BinShift(Shape):
    """The share of rows in one bin, in training and in the job."""

    label: str
    trained: NonNegativeFloat
    scored: NonNegativeFloat


class ColumnShift(Shape):
    """How differently a column is distributed."""

    column: str
    #: The model that it was compared for, in a job of several.
    model: str = ""
    kind: ShiftKind = ShiftKind.FEATURE
    #: The population stability index over the column's bins.
    psi: NonNegativeFloat
    #: What it is below in 999 of 1,000 jobs of so few rows, if nothing has shifted.
    chance: NonNegativeFloat
    #: The share of all rows, the rejected ones too; None where there can be no such rows.
    null_rate: NonNegativeFloat | None = None
    trained_null_rate: NonNegativeFloat | None = None
    unseen_rate: NonNegativeFloat | None = None
    #: The bin that adds most to the index.
    most: BinShift
    #: All bins that a row was in; not in a certificate.
    bins: tuple[BinShift, ...] = ()

    @property
    def named(self) -> str:
        """What to call it."""
        return f"{self.model}: {self.column}" if self.model else self.column

    @property
    def may_be_chance(self) -> bool:
        """Whether rows like the training rows may well look so, because they are few."""
        return self.psi <= self.chance

    def exceeds(self, most: float) -> bool:
        """Whether it has shifted by more than ``most``, and not just by chance."""
        return self.psi > most and not self.may_be_chance


class Shift(StoredShape):
    """How far a job's rows are from the training rows; ``jobs/<job>/shift.json`` has the whole of it."""

    #: Rows that the model was given, and that were compared; of several models, the one that was given most.
    rows: NonNegativeInt = 0
    #: Scored rows that nobody compared: their workers are older than that.
    rows_unknown: NonNegativeInt = 0
    #: The farthest first, and last those that may be so by chance.
    columns: tuple[ColumnShift, ...] = ()
    #: How many were compared; a certificate lists the first ones.
    columns_compared: NonNegativeInt = 0
    #: Features beyond those of which a sketch is kept.
    columns_left_out: NonNegativeInt = 0
    #: Those of which nothing or only the NULLs could be compared, and that were NULL about as often.
    columns_not_comparable: tuple[str, ...] = ()
    #: Why nothing was compared.
    why_not: str | None = None

    def brief(self) -> Shift:
        """Give what a certificate says of it."""
        worst = (column.model_copy(update={"bins": ()}) for column in self.columns[:WORST])
        named = self.columns_not_comparable[:WORST]
        return self.model_copy(update={"columns": tuple(worst), "columns_not_comparable": named})

    def exceeding(self, most: float) -> tuple[ColumnShift, ...]:
        """Give the columns that have shifted by more than ``most``."""
        return tuple(column for column in self.columns if column.exceeds(most))
