"""Roles: which columns of a table are features, from what the user said and what the types allow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError, nearest
from skfleet_common.model.choice_checks import CATEGORIES, check_choices
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.feature_choices import AskedKind
from skfleet_common.model.manifest import InputColumn, Role

#: What a target, and what a weight, may be.
_LEARNABLE = {
    LogicalDtype.BOOLEAN,
    LogicalDtype.INTEGER,
    LogicalDtype.TEXT,
    LogicalDtype.FLOAT32,
    LogicalDtype.FLOAT64,
    LogicalDtype.DECIMAL,
}
_NUMERIC = _LEARNABLE - {LogicalDtype.BOOLEAN, LogicalDtype.TEXT}


def assign_roles(columns: Sequence[Column], choices: FitChoices) -> tuple[InputColumn, ...]:
    """Give every column its role, before any row is read.

    The columns to read for training are those whose role is feature, target or weight.

    Raises:
        Refused: a column that was named does not exist, or cannot be what it was named for.
        UsageError: the names contradict each other.
    """
    _check_names(columns)
    choices = with_source_categories(choices, columns)
    by_name = {column.name: column for column in columns}
    weight = choices.weight
    named = {
        "target": choices.targets,
        "id column": choices.id_columns,
        "column to exclude": choices.exclude,
        "categorical column": choices.categorical,
        "weight": () if weight is None else (weight,),
    }
    for what, names in named.items():
        _must_exist(what, names, by_name)
    check_choices(columns, choices)
    for target in choices.targets:
        if target in {*choices.id_columns, *choices.exclude} or target == weight:
            raise UsageError(
                f"The target {target!r} is also an id, weight or excluded column; name another one."
            )
        if by_name[target].dtype not in _LEARNABLE:
            raise Refused(
                f"The target {target!r} is {by_name[target].warehouse_type}, which no model predicts; "
                "cast it to a number, a boolean or text."
            )
    if weight is not None and by_name[weight].dtype not in _NUMERIC:
        raise Refused(f"The weight {weight!r} is {by_name[weight].warehouse_type}, not a number; cast it.")
    roles = tuple(_role(column, choices) for column in columns)
    features = {column.name: column for column in roles if column.role is Role.FEATURE}
    for name in choices.categorical:
        if name not in features:
            raise UsageError(
                f"{name!r} is to be categorical, but it is no feature; leave it out of one of them."
            )
        if features[name].dtype not in CATEGORIES:
            raise UsageError(
                f"{name!r} is {features[name].warehouse_type}; only integers and text can be categorical."
            )
    if not features:
        raise Refused("No column is left to be a feature; exclude fewer columns.")
    return roles


def with_source_categories(choices: FitChoices, columns: Sequence[Column]) -> FitChoices:
    """Give the choices with the columns that their source calls categories, unless others were made."""
    taken = {*choices.targets, *choices.id_columns, *choices.exclude, *choices.categorical, choices.weight}
    found = []
    for column in columns:
        asked = choices.features.of(column.name)
        if column.is_category and column.name not in taken and asked.kind is None and asked.scale is None:
            found.append(column.name)
    return replace(choices, categorical=(*choices.categorical, *found))


def columns_to_read(roles: Iterable[InputColumn], *, ids: bool = False) -> list[str]:
    """Give the columns that :func:`fit_model` must be given, with ``ids`` also those that tell rows apart.

    Raises:
        Refused: an id is of a type that cannot be read as a value.
    """
    wanted = {Role.FEATURE, Role.TARGET, Role.WEIGHT} | ({Role.KEY} if ids else set())
    for column in roles:
        if column.role in wanted and column.dtype is LogicalDtype.OTHER:
            raise Refused(
                f"The id column {column.name!r} is {column.warehouse_type}, which out-of-sample rows cannot "
                "carry; cast it in a view or a query, name another id column, or write none."
            )
    return [column.name for column in roles if column.role in wanted]


def _check_names(columns: Sequence[Column]) -> None:
    names = [column.name for column in columns]
    for position, name in enumerate(names):
        if not name.strip():
            raise Refused(f"Column {position + 1} has no name; give it one.")
        if name in names[:position]:
            raise Refused(f"There are {names.count(name)} columns called {name!r}; rename all but one.")


def _must_exist(what: str, names: Iterable[str], by_name: dict[str, Column]) -> None:
    for name in names:
        if name not in by_name:
            raise Refused(
                f"There is no {what} {name!r}; name a column of the table{nearest(name, list(by_name))}"
            )


def _role(column: Column, choices: FitChoices) -> InputColumn:
    role, reason = Role.FEATURE, None
    if column.name in choices.targets:
        role = Role.TARGET
    elif column.name == choices.weight:
        role = Role.WEIGHT
    elif column.name in choices.id_columns:
        role = Role.KEY
    elif column.name in choices.exclude or choices.features.of(column.name).kind is AskedKind.EXCLUDE:
        role, reason = Role.EXCLUDED, "excluded by the user"
    elif column.dtype is LogicalDtype.OTHER:
        role, reason = Role.EXCLUDED, f"{column.warehouse_type} is no type that a model can use"
    return InputColumn(**column.model_dump(), role=role, reason=reason)
