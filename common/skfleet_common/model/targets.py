"""Targets: what the model learns to predict, as scikit-learn wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.arrays import canonical_array, missing, numbers
from skfleet_common.model.classes import class_values
from skfleet_common.model.estimators.asked import AskedModel
from skfleet_common.model.estimators.families import FAMILIES
from skfleet_common.model.manifest import InputColumn, Learning, Levels, Target
from skfleet_common.model.refusals import counted

#: Integers with more different values than this are amounts, not classes, unless the model's name says so.
MAX_INTEGER_CLASSES = 20

#: One column a class goes into the output table, which PostgreSQL ends at 1,600 columns.
MAX_CLASSES = 500

_CLASSES = {LogicalDtype.BOOLEAN, LogicalDtype.TEXT}
_AMOUNTS = {LogicalDtype.FLOAT32, LogicalDtype.FLOAT64, LogicalDtype.DECIMAL}


@dataclass(frozen=True)
class TargetColumn:
    """The target of every row that has one."""

    target: Target
    y: npt.NDArray[Any]
    #: Why it is learned in this way, where the user may have expected another.
    warnings: tuple[str, ...] = ()

    @property
    def codes(self) -> npt.NDArray[np.int64]:
        """Classes by their places in the manifest."""
        codes: npt.NDArray[np.int64] = np.searchsorted(class_values(self.target).astype(self.y.dtype), self.y)
        return codes


def rows_with_target(table: pa.Table, column: InputColumn) -> npt.NDArray[np.bool_]:
    """Give which rows have a finite target."""
    array = canonical_array(table, column.name, column.dtype)
    flags = missing(array)
    present = np.ones(len(array), dtype=np.bool_) if flags is None else ~flags
    if column.dtype in _AMOUNTS:
        infinite = np.isinf(numbers(array))
        if infinite.any():
            raise Refused(
                f"The target {column.name!r} is infinite in {counted(int(infinite.sum()))}; leave them out."
            )
    return present


@dataclass(frozen=True)
class Targets:
    """What a model learns of every row, of one target or several; all are classes, or all are amounts."""

    columns: tuple[TargetColumn, ...]

    @property
    def described(self) -> tuple[Target, ...]:
        """The targets as the manifest has them."""
        return tuple(column.target for column in self.columns)

    @property
    def learning(self) -> Learning:
        """What the model does with all of them."""
        return self.columns[0].target.learning

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why they are learned in this way."""
        return tuple(warning for column in self.columns for warning in column.warnings)

    def as_estimators_want(self, *, wants_codes: bool) -> npt.NDArray[Any]:
        """Give a value a row, or a row of values; classes of several targets are numbered."""
        if len(self.columns) == 1:
            only = self.columns[0]
            return only.codes if wants_codes and self.learning is Learning.CLASSIFICATION else only.y
        is_classes = self.learning is Learning.CLASSIFICATION
        return np.column_stack([column.codes if is_classes else column.y for column in self.columns])


def targets_of(table: pa.Table, columns: Sequence[InputColumn], model: AskedModel) -> Targets:
    """Give the targets of ``table``, whose rows all have them.

    Raises:
        Refused: a target is constant or has too many classes.
        UsageError: the model cannot predict such targets, or not together.
    """
    learning = _learning_of_all(columns, model)
    found = tuple(target_of(table, column, model, learning=learning) for column in columns)
    kinds = {column.target.learning: column.target.column for column in found}
    if len(kinds) > 1:
        raise UsageError(
            f"The target {kinds[Learning.CLASSIFICATION]!r} has classes and {kinds[Learning.REGRESSION]!r} "
            "is an amount, and one model predicts either; train a model for each."
        )
    return Targets(found)


def target_of(
    table: pa.Table, column: InputColumn, model: AskedModel, *, learning: Learning | None = None
) -> TargetColumn:
    """Give one target; ``learning`` is what the other targets make of it."""
    array = canonical_array(table, column.name, column.dtype)
    values = pc.unique(array).to_pylist()
    warnings: tuple[str, ...] = ()
    are_many = len(values) > MAX_INTEGER_CLASSES and _forced(column) is None
    if learning is None or (learning is not model.learning and are_many):
        # So many whole numbers are an amount, whatever the other targets are.
        learning, warnings = _learning(column, len(values), model)
    elif model.learning is None and _forced(column) is None:
        taken = "an amount" if learning is Learning.REGRESSION else "classes"
        warnings = (
            f"The target {column.name!r} has whole numbers, which are predicted as {taken} because another "
            "target is; train a model of its own for it if they are not.",
        )
    if len(values) < 2:  # noqa: PLR2004  (two values are what there is to tell apart)
        raise Refused(
            f"The target {column.name!r} has only one value in the training rows, so there is nothing to "
            "learn; check --target and --where."
        )
    if learning is Learning.REGRESSION:
        return TargetColumn(
            Target(column=column.name, dtype=column.dtype, learning=learning), numbers(array), warnings
        )
    if len(values) > MAX_CLASSES:
        raise Refused(
            f"The target {column.name!r} has {len(values):,} classes, and a model may have {MAX_CLASSES}; "
            "choose another target or group its values."
        )
    classes = Levels(dtype=column.dtype, values=tuple(sorted(values)))
    y: npt.NDArray[Any] = (
        np.array(array.to_pylist())
        if column.dtype is LogicalDtype.TEXT
        else array.to_numpy(zero_copy_only=False)
    )
    target = Target(column=column.name, dtype=column.dtype, learning=learning, classes=classes)
    return TargetColumn(target, y, warnings)


def _learning_of_all(columns: Sequence[InputColumn], model: AskedModel) -> Learning | None:
    """Give what some target's type makes of all; None where that is left to the values of each."""
    if len(columns) == 1 or model.learning is not None:
        for column in columns:
            _check_kind(column, model)
        return model.learning
    forced = {_forced(column) for column in columns} - {None}
    return forced.pop() if len(forced) == 1 else None


def _forced(column: InputColumn) -> Learning | None:
    if column.dtype in _AMOUNTS:
        return Learning.REGRESSION
    return Learning.CLASSIFICATION if column.dtype in _CLASSES else None


def _check_kind(column: InputColumn, model: AskedModel) -> None:
    """Refuse a target whose type the model cannot predict."""
    forced = _forced(column)
    if forced is None or model.learning in {None, forced}:
        return
    if forced is Learning.CLASSIFICATION:
        only = "was asked to be a regression" if _is_of_a_family(model) else "is a regression"
        raise UsageError(
            f"{model.asked} {only}, but the target {column.name!r} is {column.warehouse_type}; "
            "choose a classifier or a numeric target."
        )
    raise UsageError(
        f"{model.asked} predicts classes, but the target {column.name!r} is {column.warehouse_type}; "
        "choose a regressor, or cast the target to an integer, a boolean or text."
    )


def _is_of_a_family(model: AskedModel) -> bool:
    """Whether the same model has a classifier under another name."""
    return model.asked.endswith("_regressor") and model.asked not in FAMILIES


def _learning(column: InputColumn, distinct: int, model: AskedModel) -> tuple[Learning, tuple[str, ...]]:
    """Give what a target that may be either is learned as."""
    learning = _forced(column) or model.learning
    if learning is not None:
        return learning, ()
    if distinct > MAX_INTEGER_CLASSES:
        return Learning.REGRESSION, (
            f"The target {column.name!r} has {distinct:,} different whole numbers, so it is predicted as an "
            f"amount; name the model {model.full(Learning.CLASSIFICATION)} to predict them as classes.",
        )
    return Learning.CLASSIFICATION, (
        f"The target {column.name!r} has {distinct} different whole numbers, so they are predicted as "
        f"classes; name the model {model.full(Learning.REGRESSION)} to predict an amount.",
    )
