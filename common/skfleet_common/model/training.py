"""Training rows: those that a model may be fitted on, and the features that their columns make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.arrays import FloatArray, canonical_array, missing, numbers
from skfleet_common.model.blanks import is_padded, padded_length, without_blanks
from skfleet_common.model.column_policies import Policies
from skfleet_common.model.estimators.asked import AskedModel
from skfleet_common.model.features import unusable
from skfleet_common.model.manifest import Feature, InputColumn, Role
from skfleet_common.model.notices import Notice, NoticeKind
from skfleet_common.model.policies import NullPolicy
from skfleet_common.model.profile import Profiled, profile_columns
from skfleet_common.model.raw_profile import raw_columns
from skfleet_common.model.refusals import counted
from skfleet_common.model.targets import Targets, rows_with_target, targets_of

#: Tells features from columns that can be none.
Profile = Callable[[pa.Table, Sequence[InputColumn], Policies], Profiled]


@dataclass(frozen=True)
class TrainingRows:
    """What is fitted: one row of ``table``, of the targets and of ``weights`` each."""

    table: pa.Table
    #: Where the rows were in the frame that was given.
    positions: npt.NDArray[np.int64]
    columns: tuple[InputColumn, ...]
    features: tuple[Feature, ...]
    targets: Targets
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
    targets: Sequence[str],
    model: AskedModel,
    policies: Policies,
) -> TrainingRows:
    """Leave out rows without a target and rows that policies reject; tell features from other columns.

    Raises:
        Refused: nothing is left to learn from, or a column cannot be what it was named for.
    """
    if frame.num_rows == 0:
        raise Refused("The table has no rows to train on; check --table and --where.")
    frame, columns, padded = _unpadded(frame, columns)
    target_columns = [column for column in columns if column.role is Role.TARGET]
    target_columns.sort(key=lambda column: list(targets).index(column.name))
    present, warnings = _rows_with_targets(frame, target_columns)
    without_target = frame.num_rows - int(present.sum())
    table = frame.filter(pa.array(present))
    fit, profiled, reasons = _profiled(
        table, columns, policies, profile=raw_columns if model.traits.wants_frame else profile_columns
    )
    warnings += reasons
    rejected = table.num_rows - int(fit.sum())
    table = table.filter(pa.array(fit))
    found = targets_of(table, target_columns, model)
    notices = (*padded, *profiled.notices)
    return TrainingRows(
        table=table,
        positions=np.flatnonzero(present)[fit],
        columns=profiled.columns,
        features=profiled.features,
        targets=found,
        weights=_weights(table, columns),
        rows_without_target=without_target,
        rows_rejected=rejected,
        warnings=(*warnings, *(notice.sentence for notice in notices), *found.warnings),
        notices=notices,
    )


def _unpadded(
    frame: pa.Table, columns: Sequence[InputColumn]
) -> tuple[pa.Table, tuple[InputColumn, ...], list[Notice]]:
    """Leave aside the blanks with which files and drivers give ``character(n)``; a reader gives none."""
    told: list[InputColumn] = []
    notices: list[Notice] = []
    for column in columns:
        told.append(column)
        if column.dtype is not LogicalDtype.TEXT or column.role not in {Role.FEATURE, Role.TARGET}:
            continue
        array = canonical_array(frame, column.name, column.dtype)
        length = None if is_padded(column.warehouse_type) else padded_length(array)
        if length is None:
            continue
        position = frame.schema.get_field_index(column.name)
        frame = frame.set_column(position, column.name, without_blanks(array))
        told[-1] = column.model_copy(update={"warehouse_type": f"character({length})"})
        sentence = (
            f"Column {column.name!r}: all texts are filled up with blanks to a length of {length:,}, like "
            f"character({length}); blanks at their end do not count."
        )
        notices.append(Notice(column.name, NoticeKind.PADDED, sentence))
    return frame, tuple(told), notices


def _rows_with_targets(
    frame: pa.Table, columns: Sequence[InputColumn]
) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Give which rows have every target, and say of each how many have not."""
    present = np.ones(frame.num_rows, dtype=np.bool_)
    warnings = []
    for column in columns:
        has_target = rows_with_target(frame, column)
        present &= has_target
        if not has_target.any():
            raise Refused(f"The target {column.name!r} is NULL in every row; name another target.")
        if without := frame.num_rows - int(has_target.sum()):
            warnings.append(f"The target {column.name!r} is NULL in {counted(without)}, which were left out.")
    if not present.any():
        raise Refused("No row has all of the targets; name fewer of them.")
    return present, warnings


def _profiled(
    table: pa.Table, columns: Sequence[InputColumn], policies: Policies, *, profile: Profile
) -> tuple[npt.NDArray[np.bool_], Profiled, list[str]]:
    """Give which rows are fitted, what their columns make, and why the other rows are left out.

    A column that turns out to be no feature leaves no row out.
    """
    gone: dict[str, InputColumn] = {}
    told: list[Notice] = []
    while True:
        screened = [gone.get(column.name, column) for column in columns]
        fit, reasons = _rows_that_fit(table, screened, policies)
        rows = table.filter(pa.array(fit))
        if rows.num_rows < 2:  # noqa: PLR2004  (two rows are the least that can differ)
            raise Refused(
                f"Only {counted(rows.num_rows)} can be trained on, which is too few; check --where."
            )
        profiled = profile(rows, screened, policies)
        left = {
            column.name: column
            for column in profiled.columns
            if column.role is Role.EXCLUDED and column.name in reasons
        }
        if not left:
            notices = (*told, *profiled.notices)
            sentences = [sentence for said in reasons.values() for sentence in said]
            return fit, replace(profiled, notices=notices), sentences
        gone |= left
        told += [notice for notice in profiled.notices if notice.column in left]


def _rows_that_fit(
    table: pa.Table, columns: Sequence[InputColumn], policies: Policies
) -> tuple[npt.NDArray[np.bool_], dict[str, list[str]]]:
    """Give which rows no policy rejects, and say by column why the others are rejected."""
    fit = np.ones(table.num_rows, dtype=np.bool_)
    reasons: dict[str, list[str]] = {}
    for column in columns:
        if column.role is not Role.FEATURE:
            continue
        array = canonical_array(table, column.name, column.dtype)
        for useless, reason in unusable(array):
            fit &= ~useless
            rows = counted(int(useless.sum()))
            sentence = f"Column {column.name!r} {reason} in {rows}, which were left out."
            reasons.setdefault(column.name, []).append(sentence)
        if policies.of_nulls(column) is not NullPolicy.REJECT_ROW:
            continue
        flags = missing(array)
        if flags is not None and not flags.all():
            fit &= ~flags
            sentence = f"Column {column.name!r} is NULL in {counted(int(flags.sum()))}, which were left out."
            reasons.setdefault(column.name, []).append(sentence)
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
