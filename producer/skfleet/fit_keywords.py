"""What a user asks of a fit: the keyword arguments of ``Fleet.train``, and the choices that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, cast

from skfleet.mappings import Given, read_mapping
from skfleet.naming import find_column, find_columns, names_of
from skfleet_common.contracts.columns import Column
from skfleet_common.contracts.errors import UsageError, nearest
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.feature_choices import FeatureChoices
from skfleet_common.model.features_file import read_features
from skfleet_common.model.model_file import ModelFormat
from skfleet_common.model.versions import SkewPolicy


class FitKeywords(TypedDict, total=False):
    """The keyword arguments that shape the fit, each a field of ``FitChoices`` and an option of the command.

    None is as good as nothing: what nobody chose follows from the rows.
    """

    #: ``gradient_boosting``, ``random_forest``, ``logistic_regression`` …
    model: str | None
    #: Columns that are no features.
    exclude: str | Sequence[str] | None
    #: Integer columns whose values are levels, not amounts.
    categorical: str | Sequence[str] | None
    #: By column (``*`` for all): ``missing``, ``error`` or ``reject_row``.
    null_policy: Mapping[str, str] | str | None
    #: By column (``*`` for all): ``other``, ``error`` or ``reject_row``.
    unseen_policy: Mapping[str, str] | str | None
    #: Share of rows with an unseen level that the policy ``other`` lets pass.
    tolerated_unseen: float | None
    #: What single columns are to be: a features file, or what one holds.
    features: str | Path | Mapping[str, Any] | None
    #: The column of sample weights.
    weight: str | None
    #: Parameters of the estimator: ``{"max_depth": 3}``, or words as ``--params`` takes them.
    params: Given | None
    #: ``grid``, ``random`` or ``halving``.
    search: str | None
    #: By parameter, a list of values, or ``{"low": …, "high": …, "log": …}``.
    search_space: Given | None
    #: How many candidates a random search tries.
    search_iterations: int | None
    #: scikit-learn's name of what makes a candidate better.
    search_scoring: str | None
    #: In how many parts the rows are split to compare candidates.
    search_folds: int | None
    #: ``sigmoid`` or ``isotonic``.
    calibrate: str | None
    #: In how many parts all rows are split, each predicted by a model of the others.
    cross_validate: int | None
    #: How far a reader's libraries may be from those here: ``exact``, ``patch`` or ``warn``.
    skew_policy: str | None
    #: How the model is written down: ``skops``, or ``joblib`` where workers and clients allow pickles.
    format: str | None
    #: Makes the fit repeatable.
    seed: int | None


#: The fields of ``FitChoices`` that name columns, one or several, each with the option that does.
COLUMN_OPTIONS = {
    "targets": "--target",
    "id_columns": "--id-column",
    "exclude": "--exclude",
    "categorical": "--categorical",
    "weight": "--weight",
}

#: Keywords that take one name or several.
_SEVERAL = {"exclude", "categorical"}

#: Keywords that take a mapping, or words or a file that hold one.
_MAPPINGS = {"params": "--params", "search_space": "--search-space"}


#: Keywords that are one of a few words.
_ENUMS: dict[str, type[StrEnum]] = {"skew_policy": SkewPolicy, "format": ModelFormat}

_Choice = TypeVar("_Choice", bound=StrEnum)


def fit_choices(
    *,
    target: str | Sequence[str],
    name: str,
    id_column: str | Sequence[str] | None = None,
    **keywords: Unpack[FitKeywords],
) -> FitChoices:
    """Give the choices that the keyword arguments make; columns are named as the user spelt them."""
    given = {key: value for key, value in cast("dict[str, Any]", keywords).items() if value is not None}
    for key in _SEVERAL & given.keys():
        given[key] = several(given[key])
    for key in _MAPPINGS.keys() & given.keys():
        given[key] = read_mapping(given[key], flag=_MAPPINGS[key])
    for key, kind in _ENUMS.items():
        if key in given:
            given[key] = one_of(kind, f"--{key.replace('_', '-')}", given[key])
    if "features" in given:
        given["features"] = read_features(given["features"])
    return FitChoices(targets=several(target), name=name, id_columns=several(id_column), **given)


def with_found_columns(choices: FitChoices, columns: Sequence[Column], *, source: object) -> FitChoices:
    """Give the choices with their columns as ``source`` spells them.

    Raises:
        Refused: it has no such column.
    """
    found: dict[str, Any] = {}
    for field, flag in COLUMN_OPTIONS.items():
        asked = getattr(choices, field)
        if isinstance(asked, str):
            found[field] = find_column(columns, asked, flag=flag, source=source).name
        elif asked:
            found[field] = names_of(find_columns(columns, asked, flag=flag, source=source))
    return replace(choices, features=_folded(choices.features, columns), **found)


def _folded(asked: FeatureChoices, columns: Sequence[Column]) -> FeatureChoices:
    """Give what a features file says of columns as the source spells them, as options of columns do."""
    here = {column.name for column in columns}
    names = {
        name: name.lower() if name not in here and name.lower() in here else name for name in asked.columns
    }
    if len(set(names.values())) < len(names):
        spelt = list(names.values())
        twice = next(name for name, folded in names.items() if name != folded and spelt.count(folded) > 1)
        raise UsageError(
            f"The features file speaks of {twice} and of {names[twice]}, which are one column; leave one out."
        )
    folded = {names[name]: choices for name, choices in asked.columns.items()}
    return asked.model_copy(update={"columns": folded})


def one_of(kind: type[_Choice], flag: str, text: str, *, but: tuple[_Choice, ...] = ()) -> _Choice:
    """Give the choice that ``text`` names.

    Raises:
        UsageError: it names none.
    """
    known = [choice for choice in kind if choice not in but]
    if text not in known:
        raise UsageError(f"{flag} must be {', '.join(known)}, not {text!r}{nearest(text, [*known])}")
    return kind(text)


def several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Give one name or several as a tuple."""
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)
