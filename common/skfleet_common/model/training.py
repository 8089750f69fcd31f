"""Training rows: those that a model may be fitted on, and the features that their columns make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skfleet_common.contracts.errors import Refused
from skfleet_common.model.arrays import FloatArray, canonical_array, missing, numbers
from skfleet_common.model.column_policies import Policies
from skfleet_common.model.estimators import ModelName
from skfleet_common.model.features import unusable
from skfleet_common.model.manifest import Feature, InputColumn, Role
from skfleet_common.model.notices import Notice
from skfleet_common.model.policies import NullPolicy
from skfleet_common.model.profile import profile_columns
from skfleet_common.model.refusals import counted
from skfleet_common.model.targets import TargetColumn, rows_with_target, target_of


@dataclass(frozen=True)
class TrainingRows:
    """What is fitted: one row of ``table``, ``target.y`` and ``weights`` each."""

    table: pa.Table
    columns: tuple[InputColumn, ...]
    features: tuple[Feature, ...]
    target: TargetColumn
    weights: FloatArray | None
    rows_without_target: int
    rows_rejected: int
    warnings: tuple[str, ...]
    #: What there is to say of single columns.
    notices: tuple[Notice, ...] = ()


def prepare(
    frame: pa.Table,
    columns: Sequence[InputColumn],
    *,
    model: ModelName,
    policies: Policies,
) -> TrainingRows:
    """Leave out rows without a target and rows that policies reject; tell features from other columns.

    Raises:
        Refused: nothing is left to learn from, or a column cannot be what it was named for.
    """
    if frame.num_rows == 0:
        raise Refused("The table has no rows to train on; check --table and --where.")
    target_column = next(column for column in columns if column.role is Role.TARGET)
    warnings: list[str] = []
    present = rows_with_target(frame, target_column)
    without_target = frame.num_rows - int(present.sum())
    if without_target:
        warnings.append(
            f"The target {target_column.name!r} is NULL in {counted(without_target)}, which were left out."
        )
    table = frame.filter(pa.array(present))
    if table.num_rows == 0:
        raise Refused(f"The target {target_column.name!r} is NULL in every row; name another target.")
    fit, reasons = _rows_that_fit(table, columns, policies)
    warnings += reasons
    rejected = table.num_rows - int(fit.sum())
    table = table.filter(pa.array(fit))
    if table.num_rows < 2:  # noqa: PLR2004  (two rows are the least that can differ)
        raise Refused(f"Only {counted(table.num_rows)} can be trained on, which is too few; check --where.")
    target = target_of(table, target_column, model)
    profiled = profile_columns(table, columns, policies)
    return TrainingRows(
        table=table,
        columns=profiled.columns,
        features=profiled.features,
        target=target,
        weights=_weights(table, columns),
        rows_without_target=without_target,
        rows_rejected=rejected,
        warnings=(*warnings, *(notice.sentence for notice in profiled.notices), *target.warnings),
        notices=profiled.notices,
    )


def _rows_that_fit(
    table: pa.Table, columns: Sequence[InputColumn], policies: Policies
) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Give which rows no policy rejects, and say why the others are rejected."""
    fit = np.ones(table.num_rows, dtype=np.bool_)
    reasons = []
    for column in columns:
        if column.role is not Role.FEATURE:
            continue
        array = canonical_array(table, column.name, column.dtype)
        for useless, reason in unusable(array):
            fit &= ~useless
            rows = counted(int(useless.sum()))
            reasons.append(f"Column {column.name!r} {reason} in {rows}, which were left out.")
        if policies.of_nulls(column) is not NullPolicy.REJECT_ROW:
            continue
        flags = missing(array)
        if flags is not None and not flags.all():
            fit &= ~flags
            reasons.append(
                f"Column {column.name!r} is NULL in {counted(int(flags.sum()))}, which were left out."
            )
    return fit, reasons


def _weights(table: pa.Table, columns: Sequence[InputColumn]) -> FloatArray | None:
    column = next((column for column in columns if column.role is Role.WEIGHT), None)
    if column is None:
        return None
    weights = numbers(canonical_array(table, column.name, column.dtype))
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise Refused(
            f"The weight {column.name!r} must be a finite number of at least 0 in every row, and not 0 in "
            "all; correct it or leave those rows out."
        )
    return weights
