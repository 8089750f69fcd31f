"""Search spaces: what a user wants to be tried, as scikit-learn's searches take it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import loguniform, randint, uniform

from skfleet_common.contracts.errors import UsageError, shown
from skfleet_common.model.estimators.assembly import Assembly
from skfleet_common.model.estimators.parameters import check_parameter
from skfleet_common.model.estimators.spaces import SPACES
from skfleet_common.model.estimators.traits import last_of

#: A grid is the product of its lists, which grows faster than people think.
MAX_CANDIDATES = 10_000


def space_of(given: Mapping[str, Any], assembly: Assembly, *, is_grid: bool) -> dict[str, Any]:
    """Give the values to try, by parameter.

    Raises:
        UsageError: there are none, or not such as the search can use.
    """
    model, asked = assembly.model.prototypes[assembly.learning], assembly.model.asked
    space = dict(given) or dict(SPACES.get(type(last_of(model)).__name__, {}))
    if not space:
        raise UsageError(f"What parameters of {asked} are to be tried? Name them with --search-space.")
    has = model.get_params(deep=True)
    found: dict[str, Any] = {}
    for asked_name, values in space.items():
        name = asked_name.replace(".", "__")
        check_parameter(name, has, of=asked)
        found[name] = _values(name, values, now=has[name])
    drawn = [name for name, values in found.items() if not isinstance(values, list)]
    if is_grid and drawn:
        raise UsageError(
            f"A grid takes a list of values for {drawn[0]!r}, not a range; name some, or search at random."
        )
    candidates = math.prod(len(values) for values in found.values() if isinstance(values, list))
    if is_grid and candidates > MAX_CANDIDATES:
        raise UsageError(
            f"The grid has {candidates:,} candidates, and a search may try {MAX_CANDIDATES:,}; name fewer "
            "values, or search at random."
        )
    return found


def _values(name: str, values: Any, *, now: Any) -> Any:
    """Give a list of values, or a distribution for ``{low, high, log}``."""
    if isinstance(values, Mapping):
        return _range(name, values)
    if not isinstance(values, (list, tuple)) or not values:
        raise UsageError(
            f"The search space of {name!r} must be a list of values, or low and high of a range, "
            f"not {shown(repr(values))}."
        )
    listed = list(values)
    return [tuple(value) if isinstance(value, list) and isinstance(now, tuple) else value for value in listed]


def _range(name: str, given: Mapping[str, Any]) -> Any:
    low, high = given.get("low"), given.get("high")
    is_log = bool(given.get("log", False))
    if (
        set(given) - {"low", "high", "log"}
        or not isinstance(low, (int, float))
        or not isinstance(high, (int, float))
        or not low < high
        or (is_log and low <= 0)
    ):
        raise UsageError(
            f"The range of {name!r} must have a low below its high, both above 0 where log is true."
        )
    if isinstance(low, int) and isinstance(high, int):
        if is_log:
            return sorted({int(value) for value in np.geomspace(low, high, 50).round()})
        return randint(low, high + 1)
    return loguniform(low, high) if is_log else uniform(low, high - low)
