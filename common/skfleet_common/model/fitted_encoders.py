"""Fitted encoders: whether those in a model that was fitted elsewhere know the values of a sample.

An encoder that ignores what it does not know makes zeros of ``"1"`` where it learned ``1``, and the model
answers all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import _safe_indexing

from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.model.estimators.traits import tags_of
from skfleet_common.model.refusals import named

#: Where searches and models that transform their target keep what they fitted.
_ONE_WITHIN = ("best_estimator_", "regressor_")

_SEVERAL_WITHIN = (
    VotingClassifier,
    VotingRegressor,
    StackingClassifier,
    StackingRegressor,
    MultiOutputClassifier,
    MultiOutputRegressor,
)


@dataclass(frozen=True)
class KnownLevels:
    """What one encoder knows of one column, and what the column holds."""

    column: str
    encoder: str
    learned: tuple[Any, ...]
    found: tuple[Any, ...]

    @property
    def unknown(self) -> tuple[Any, ...]:
        """What the column holds that the encoder never learned."""
        known = set(self.learned)
        return tuple(value for value in self.found if value not in known)


def check_levels(model: Any, X: Any, columns: Sequence[str]) -> tuple[bool, list[str]]:
    """Give whether the model has encoders, and what is to be said of columns of which they know only a part.

    Raises:
        Refused: an encoder knows nothing of what a column holds.
    """
    notes: list[str] = []
    seen: list[KnownLevels] = []
    # A model of another make may do anything when it is asked for its parts; it is tried as a whole anyway.
    with suppress(Exception):
        for levels in _known_levels(model, X, columns):
            seen.append(levels)  # noqa: PERF402  (those that came before one that raises count)
    for levels in seen:
        if not levels.unknown:
            continue
        if len(levels.unknown) == len(levels.found):
            raise Refused(
                f"The model's {levels.encoder} knows none of the values of column {levels.column!r}: it "
                f"learned {_some(levels.learned)}, and the sample holds {_some(levels.found)}, so every row "
                "would be unknown to it; give a sample with the values and types that it was fitted on."
            )
        unknown = f"{len(levels.unknown):,} of the sample's {len(levels.found):,} values"
        which = named([str(value) for value in levels.unknown])
        notes.append(
            f"Column {levels.column!r}: the model's {levels.encoder} does not know {unknown}{which}."
        )
    return bool(seen), notes


def check_takes_columns(model: Any) -> None:
    """Refuse a model that begins with a text vectorizer, which wants one column by itself.

    Raises:
        Refused: it does; a frame would be as many texts to it as it has columns.
    """
    first = model
    while inner := [step for _, step in first.steps] if isinstance(first, Pipeline) else _within(first):
        first = inner[0]
    tags = tags_of(first)
    if tags is not None and tags.input_tags.string and not tags.input_tags.two_d_array:
        name = type(first).__name__
        raise Refused(
            f"The model begins with {name}, which wants a one-dimensional column of text, and skfleet gives "
            "columns as a table; fit it behind a ColumnTransformer that selects the column by name, as in "
            f"make_column_transformer(({name}(), 'text'))."
        )


def _known_levels(model: Any, X: Any, columns: Sequence[str]) -> Iterator[KnownLevels]:
    if isinstance(model, Pipeline):
        yield from _of_steps(model, X, columns)
    elif isinstance(model, ColumnTransformer):
        for _, part, chosen in model.transformers_:
            if not isinstance(part, str) and np.size(chosen):
                names = _safe_indexing(np.asarray(columns, dtype=object), _places(chosen, X))
                named_so = [str(name) for name in np.atleast_1d(names)]
                yield from _known_levels(part, _safe_indexing(X, chosen, axis=1), named_so)
    elif inner := _within(model):
        for part in inner:
            yield from _known_levels(part, X, columns)
    elif isinstance(getattr(model, "categories_", None), list):
        values = X.to_numpy(dtype=object) if isinstance(X, pd.DataFrame) else np.asarray(X, dtype=object)
        for place, learned in enumerate(model.categories_):
            found = pd.unique(pd.Series(values[:, place], dtype=object).dropna())
            yield KnownLevels(columns[place], type(model).__name__, tuple(learned), tuple(found))


def _of_steps(model: Pipeline, X: Any, columns: Sequence[str]) -> Iterator[KnownLevels]:
    steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
    for place, step in enumerate(steps):
        yield from _known_levels(step, X, columns)
        if not any(_may_encode(later) for later in steps[place + 1 :]):
            return
        X = step.transform(X.copy())
        if X.shape[1] != len(columns):
            columns = [str(number) for number in range(X.shape[1])]


def _within(model: Any) -> list[Any]:
    """Give the fitted parts that are given what a model is given: what a search found, those that vote."""
    for name in _ONE_WITHIN:
        if hasattr(model, name):
            return [getattr(model, name)]
    if isinstance(model, FeatureUnion):
        return [part for _, part in model.transformer_list]
    if isinstance(model, CalibratedClassifierCV):
        return [calibrated.estimator for calibrated in model.calibrated_classifiers_]
    if isinstance(model, _SEVERAL_WITHIN):
        return [part for part in model.estimators_ if part is not None and not isinstance(part, str)]
    return []


def _may_encode(part: Any) -> bool:
    return isinstance(part, Pipeline | ColumnTransformer | FeatureUnion) or hasattr(part, "categories_")


def _places(chosen: Any, X: Any) -> Any:
    """Give columns that were chosen by name by their places."""
    wanted = [chosen] if isinstance(chosen, str) else chosen
    if isinstance(wanted, list | np.ndarray) and all(isinstance(name, str) for name in wanted):
        return [list(X.columns).index(name) for name in wanted]
    return chosen


def _some(values: Sequence[Any]) -> str:
    few = ", ".join(repr(value.item() if isinstance(value, np.generic) else value) for value in values[:3])
    return shown(few + (" …" if len(values) > 3 else ""))  # noqa: PLR2004
