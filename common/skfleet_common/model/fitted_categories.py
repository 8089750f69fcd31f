"""Fitted categories: the levels of pandas categoricals that a model remembers from its fit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from skfleet_common.contracts.columns import Column, LogicalDtype

#: What a fit and a file call the places of the categorical columns.
_PLACES = ("categorical_column", "categorical_feature")

_VALUES = {LogicalDtype.TEXT: str, LogicalDtype.INTEGER: int}


def categories_of_model(model: Any, columns: Sequence[Column]) -> dict[str, tuple[Any, ...]]:
    """Give the levels that LightGBM was fitted on, by column, in its order; nothing of other models.

    It takes no texts in place of categories, and a table has no categories.
    """
    # A model that is not fitted has no booster, and says so by raising.
    with suppress(Exception):
        booster = model.booster_
        given = next(booster.params[key] for key in _PLACES if key in booster.params)
        places = [int(place) for place in (given.split(",") if isinstance(given, str) else given)]
        levels = booster.pandas_categorical or []
        names = booster.feature_name()
        if len(places) == len(levels):
            found = {names[place]: tuple(known) for place, known in zip(sorted(places), levels, strict=True)}
            return {
                column.name: found[column.name]
                for column in columns
                if column.name in found
                and all(type(level) is _VALUES.get(column.dtype) for level in found[column.name])
            }
    return {}
