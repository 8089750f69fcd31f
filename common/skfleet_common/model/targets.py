"""Targets: what the model learns to predict, as scikit-learn wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.arrays import canonical_array, missing, numbers
from skfleet_common.model.estimators import ModelName, is_regression_only
from skfleet_common.model.manifest import InputColumn, Learning, Levels, Target

#: Integers with more different values than this are amounts, not classes, unless the model's name says so.
MAX_INTEGER_CLASSES = 20

#: One column a class goes into the output table, which PostgreSQL ends at 1,600 columns.
MAX_CLASSES = 500

_AMOUNTS = {LogicalDtype.FLOAT32, LogicalDtype.FLOAT64, LogicalDtype.DECIMAL}


@dataclass(frozen=True)
class TargetColumn:
    """The target of every row that has one."""

    target: Target
    y: npt.NDArray[Any]
    #: Why it is learned in this way, where the user may have expected another.
    warnings: tuple[str, ...] = ()


def rows_with_target(table: pa.Table, column: InputColumn) -> npt.NDArray[np.bool_]:
    """Give which rows have a finite target."""
    array = canonical_array(table, column.name, column.dtype)
    flags = missing(array)
    present = np.ones(len(array), dtype=np.bool_) if flags is None else ~flags
    if column.dtype in _AMOUNTS:
        infinite = np.isinf(numbers(array))
        if infinite.any():
            raise Refused(
                f"The target {column.name!r} is infinite in {int(infinite.sum()):,} rows; leave them out."
            )
    return present


def target_of(table: pa.Table, column: InputColumn, model: ModelName) -> TargetColumn:
    """Give the target of ``table``, whose rows all have one.

    Raises:
        Refused: the target is constant or has too many classes.
        UsageError: the model cannot predict such a target.
    """
    array = canonical_array(table, column.name, column.dtype)
    values = pc.unique(array).to_pylist()
    learning, warnings = _learning(column, len(values), model)
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


def _learning(column: InputColumn, distinct: int, model: ModelName) -> tuple[Learning, tuple[str, ...]]:
    if column.dtype in {LogicalDtype.BOOLEAN, LogicalDtype.TEXT}:
        if model.learning is Learning.REGRESSION:
            only = "is a regression" if is_regression_only(model) else "was asked to be a regression"
            raise UsageError(
                f"{model.asked} {only}, but the target {column.name!r} is {column.warehouse_type}; "
                "choose a classifier or a numeric target."
            )
        return Learning.CLASSIFICATION, ()
    if column.dtype in _AMOUNTS:
        if model.learning is Learning.CLASSIFICATION:
            raise UsageError(
                f"{model.asked} predicts classes, but the target {column.name!r} is {column.warehouse_type}; "
                "choose a regressor, or cast the target to an integer, a boolean or text."
            )
        return Learning.REGRESSION, ()
    if model.learning is not None:
        return model.learning, ()
    if distinct > MAX_INTEGER_CLASSES:
        return Learning.REGRESSION, (
            f"The target {column.name!r} has {distinct:,} different whole numbers, so it is predicted as an "
            f"amount; name the model {model.family}_classifier to predict them as classes.",
        )
    return Learning.CLASSIFICATION, (
        f"The target {column.name!r} has {distinct} different whole numbers, so they are predicted as "
        f"classes; name the model {model.family}_regressor to predict an amount.",
    )
