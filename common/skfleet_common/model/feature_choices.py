"""Feature choices: what a user asks of single columns, beyond what follows from their types."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, FiniteFloat, StrictBool, StrictInt, StrictStr

from skfleet_common.contracts.shapes import Shape
from skfleet_common.model.arrays import LARGEST_NUMBER
from skfleet_common.model.policies import Fill, NullPolicy, Scale, UnseenPolicy

#: Text, a number or a boolean that stands in for a missing value.
Constant = StrictBool | StrictInt | FiniteFloat | StrictStr


class AskedKind(StrEnum):
    """What a column is to be, whatever its type suggests."""

    NUMBER = "number"
    CATEGORY = "category"
    MOMENT = "moment"
    EXCLUDE = "exclude"


class AskedFill(Shape):
    """What is to stand in for a missing value."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    fill: Fill = Fill.CONSTANT
    constant: Constant | None = None


def _fill_of(given: object) -> object:
    """Take ``median``, ``0`` and ``{constant: text}`` for what they mean."""
    if isinstance(given, Mapping) and list(given) == ["constant"] and isinstance(given["constant"], str):
        return AskedFill(constant=given["constant"])
    if isinstance(given, Mapping) and list(given) == ["constant"]:
        given = given["constant"]
    if isinstance(given, bool | int | float) and abs(given) <= LARGEST_NUMBER:
        return AskedFill(constant=given)
    if isinstance(given, str) and given in set(Fill) - {Fill.CONSTANT}:
        return AskedFill(fill=Fill(given))
    if given is None or isinstance(given, AskedFill):
        return given
    raise ValueError("must be none, median, mean, most_frequent, a finite number or {constant: VALUE}")


Rate = Annotated[float, Field(ge=0, le=1)]
Rows = Annotated[StrictInt, Field(ge=0)]


class Defaults(Shape):
    """What is asked of every column that is not spoken of by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    nulls: NullPolicy | None = None
    unseen: UnseenPolicy | None = None
    tolerated_unseen: Rate | None = None
    #: Rows that a level needs to have a code of its own; 0 and 1 give every level one.
    rare: Rows | None = None
    fill: Annotated[AskedFill | None, BeforeValidator(_fill_of)] = None
    scale: Scale | None = None


class ColumnChoices(Defaults):
    """What is asked of one column."""

    kind: AskedKind | None = None
    #: Parts of a date, a time or a timestamp.
    parts: Annotated[tuple[str, ...], Field(min_length=1)] | None = None


class FeatureChoices(Shape):
    """What is asked of all columns, and of some by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    defaults: Defaults = Defaults()
    columns: dict[str, ColumnChoices] = Field(default_factory=dict)

    def of(self, column: str) -> ColumnChoices:
        """Give what is asked of ``column`` by name; nothing, if nobody spoke of it."""
        return self.columns.get(column, _NOTHING)

    def named(self, kind: AskedKind) -> tuple[str, ...]:
        """Give the columns that are to be of a kind."""
        return tuple(name for name, asked in self.columns.items() if asked.kind is kind)


_NOTHING = ColumnChoices()
NO_CHOICES = FeatureChoices()
