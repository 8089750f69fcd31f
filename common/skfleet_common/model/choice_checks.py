"""Choice checks: whether what is asked of a column can be, told from its type before any row is read."""

from __future__ import annotations

from collections.abc import Sequence

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import UsageError, nearest
from skfleet_common.model.arrays import LARGEST_LEVEL, SPOKEN
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.feature_choices import AskedFill, AskedKind, ColumnChoices
from skfleet_common.model.moments import MOMENTS, possible_parts
from skfleet_common.model.policies import Fill, NullPolicy

NUMBERS = {
    LogicalDtype.BOOLEAN,
    LogicalDtype.INTEGER,
    LogicalDtype.FLOAT32,
    LogicalDtype.FLOAT64,
    LogicalDtype.DECIMAL,
}
CATEGORIES = {LogicalDtype.INTEGER, LogicalDtype.TEXT}
_POSSIBLE = {AskedKind.NUMBER: NUMBERS, AskedKind.CATEGORY: CATEGORIES, AskedKind.MOMENT: MOMENTS}
_WANTED = {
    AskedKind.NUMBER: "numbers and booleans can be numbers",
    AskedKind.CATEGORY: "whole numbers and text can be categories",
    AskedKind.MOMENT: "dates, times and timestamps can be moments",
}


def check_choices(columns: Sequence[Column], choices: FitChoices) -> None:
    """Check what is asked of single columns against their names and types.

    Raises:
        UsageError: a column does not exist, is no feature, or cannot be what it is asked to be.
    """
    of_all = choices.features.defaults.fill
    if of_all is not None and isinstance(of_all.constant, str):
        raise UsageError(
            f"The fill of all columns is {of_all.constant!r}, which no number can be; ask for it by column."
        )
    by_name = {column.name: column for column in columns}
    taken = dict.fromkeys(choices.targets, "the target") | dict.fromkeys(choices.id_columns, "an id column")
    if choices.weight is not None:
        taken[choices.weight] = "the weight"
    for name, asked in choices.features.columns.items():
        if name not in by_name:
            raise UsageError(
                f"The features speak of {name!r}, which is no column{nearest(name, list(by_name))}"
            )
        if name in taken:
            raise UsageError(f"The features speak of {name!r}, which is {taken[name]}; leave one out.")
        if name in choices.categorical and asked.kind not in {None, AskedKind.CATEGORY}:
            raise UsageError(f"{name!r} is to be categorical and of kind {asked.kind}; leave one out.")
        if asked.kind is not AskedKind.EXCLUDE and by_name[name].dtype is not LogicalDtype.OTHER:
            _check_one(by_name[name], asked, is_category=_is_category(by_name[name], choices))


def _is_category(column: Column, choices: FitChoices) -> bool:
    asked = choices.features.of(column.name).kind
    return (
        column.dtype is LogicalDtype.TEXT or column.name in choices.categorical or asked is AskedKind.CATEGORY
    )


def _check_one(column: Column, asked: ColumnChoices, *, is_category: bool) -> None:
    name = column.name
    if asked.kind is not None and column.dtype not in _POSSIBLE.get(asked.kind, {column.dtype}):
        raise UsageError(f"{name!r} is {column.warehouse_type}; only {_WANTED[asked.kind]}.")
    if asked.parts is not None:
        if column.dtype not in MOMENTS:
            raise UsageError(f"{name!r} is {column.warehouse_type}, which has no parts; leave parts out.")
        known = list(possible_parts(column.dtype))
        for part in asked.parts:
            if part not in known:
                raise UsageError(
                    f"{name!r} has no part {part!r}; use some of {', '.join(known)}{nearest(part, known)}"
                )
        if len(set(asked.parts)) < len(asked.parts):
            raise UsageError(f"A part of {name!r} is asked for twice; leave one out.")
    if not is_category and (asked.rare, asked.unseen, asked.tolerated_unseen) != (None, None, None):
        raise UsageError(
            f"{name!r} is no category, so it has no levels to be rare or unseen; ask for kind: category."
        )
    if is_category and asked.scale is not None:
        raise UsageError(f"{name!r} is a category, which has no scale; leave scale out.")
    if asked.fill is not None:
        _check_fill(column, asked, asked.fill, is_category=is_category)


def _check_fill(column: Column, asked: ColumnChoices, fill: AskedFill, *, is_category: bool) -> None:
    if fill.fill is not Fill.NONE and asked.nulls in {NullPolicy.ERROR, NullPolicy.REJECT_ROW}:
        raise UsageError(
            f"{column.name!r} has a fill, which its null policy {asked.nulls} never uses; leave one out."
        )
    if is_category and fill.fill in {Fill.MEDIAN, Fill.MEAN}:
        raise UsageError(
            f"{column.name!r} is a category, which has no {fill.fill}; use most_frequent or a constant."
        )
    if fill.fill is not Fill.CONSTANT:
        return
    is_text = column.dtype is LogicalDtype.TEXT
    kinds: tuple[type, ...] = (str,) if is_text else (int,) if is_category else (int, float)
    is_other = not isinstance(fill.constant, kinds) or (is_category and isinstance(fill.constant, bool))
    if is_other or (isinstance(fill.constant, int) and is_category and abs(fill.constant) > LARGEST_LEVEL):
        raise UsageError(
            f"{column.name!r} holds {SPOKEN[column.dtype]}, which {fill.constant!r} cannot stand in for; "
            "use a constant of the same kind."
        )
