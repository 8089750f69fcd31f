"""Column policies: what holds for each column, from all that was asked and from what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from skfleet_common.model.choices import FitChoices
from skfleet_common.model.feature_choices import AskedFill, AskedKind, FeatureChoices
from skfleet_common.model.manifest import InputColumn
from skfleet_common.model.policies import (
    ALL_COLUMNS,
    NullPolicy,
    Policy,
    Scale,
    UnseenPolicy,
    policy_by_column,
)

#: Rows that a level needs to have a code of its own, unless more or fewer are asked for …
RARE_BELOW = 5
#: … in a column with more levels than this: a few levels can be told apart however rare they are.
FEW_LEVELS = 20


@dataclass(frozen=True)
class Policies:
    """What was asked for, by column; what nobody spoke of follows from the column.

    What the command line says of a column by name goes before the features file; that before what the command
    line says of all columns; and the file's defaults come last.
    """

    nulls: Mapping[str, NullPolicy]
    unseen: Mapping[str, UnseenPolicy]
    tolerated_unseen: float
    categorical: frozenset[str]
    asked: FeatureChoices

    @classmethod
    def of(cls, choices: FitChoices, columns: Sequence[str]) -> Self:
        """Give the policies that ``choices`` make for the columns that may become features.

        Raises:
            UsageError: a policy or a column does not exist.
        """
        asked = choices.features
        return cls(
            nulls=_by_column(
                NullPolicy, choices.null_policy, columns, asked={n: asked.of(n).nulls for n in columns}
            ),
            unseen=_by_column(
                UnseenPolicy, choices.unseen_policy, columns, asked={n: asked.of(n).unseen for n in columns}
            ),
            tolerated_unseen=choices.tolerated_unseen,
            categorical=frozenset({*choices.categorical, *asked.named(AskedKind.CATEGORY)}),
            asked=asked,
        )

    def of_nulls(self, column: InputColumn) -> NullPolicy:
        """Give the null policy: a column that is NOT NULL in the warehouse is so in the model."""
        by_default = self.asked.defaults.nulls
        if by_default is None:
            by_default = NullPolicy.MISSING if column.nullable else NullPolicy.ERROR
        return self.nulls.get(column.name, by_default)

    def of_unseen(self, column: str) -> UnseenPolicy:
        """Give what becomes of levels that training never saw."""
        return self.unseen.get(column, self.asked.defaults.unseen or UnseenPolicy.OTHER)

    def tolerated(self, column: str) -> float:
        """Give the share of rows with an unseen level that the policy ``other`` lets pass."""
        by_name, by_default = self.asked.of(column).tolerated_unseen, self.asked.defaults.tolerated_unseen
        if by_name is not None:
            return by_name
        return self.tolerated_unseen if by_default is None else by_default

    def rare_below(self, column: str, *, levels: int) -> int:
        """Give the rows that a level of a column with so many levels needs to have a code of its own."""
        for asked in (self.asked.of(column).rare, self.asked.defaults.rare):
            if asked is not None:
                return asked
        return RARE_BELOW if levels > FEW_LEVELS else 0

    def fill(self, column: str, *, is_category: bool = False) -> AskedFill | None:
        """Give what is to stand in for missing values; None leaves it to the estimator's style."""
        by_name = self.asked.of(column).fill
        return by_name if by_name or is_category else self.asked.defaults.fill

    def scale(self, column: str) -> Scale | None:
        """Give how numbers are to be scaled; None leaves it to the estimator's style."""
        return self.asked.of(column).scale or self.asked.defaults.scale


def _by_column(
    kind: type[Policy],
    given: Mapping[str, str] | str | None,
    columns: Sequence[str],
    *,
    asked: Mapping[str, Policy | None],
) -> dict[str, Policy]:
    named = policy_by_column(kind, given, columns)
    by_name = set() if given is None or isinstance(given, str) else set(given) - {ALL_COLUMNS}
    of_file = {name: policy for name, policy in asked.items() if policy is not None and name not in by_name}
    return named | of_file
