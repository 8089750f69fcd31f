"""Profile: what training learns of each column before any transformer is fitted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.arrays import FloatArray, canonical_array, missing, numbers
from skfleet_common.model.manifest import Feature, FeatureKind, InputColumn, Levels
from skfleet_common.model.moments import moment_parts, parts_of
from skfleet_common.model.policies import NullPolicy, UnseenPolicy
from skfleet_common.model.refusals import NullRefused

#: Text is taken for an identifier when it has more levels than this and most rows have their own.
_IDENTIFIER_LEVELS = 1_000
_IDENTIFIER_SHARE = 0.5

#: Beyond this, text is no category: its levels alone would outweigh the model.
MAX_LEVELS = 10_000

#: Larger integers are not exact as float64, so two levels could become one.
_LARGEST_LEVEL = 2**53

_MOMENTS = {LogicalDtype.DATE, LogicalDtype.TIMESTAMP, LogicalDtype.TIMESTAMPTZ}


@dataclass(frozen=True)
class Policies:
    """What was asked for, by column; what nobody spoke of follows from the column."""

    nulls: Mapping[str, NullPolicy]
    unseen: Mapping[str, UnseenPolicy]
    tolerated_unseen: float

    def of_nulls(self, column: InputColumn) -> NullPolicy:
        """Give the null policy: a column that is NOT NULL in the warehouse is so in the model."""
        return self.nulls.get(column.name, NullPolicy.MISSING if column.nullable else NullPolicy.ERROR)


def profile_column(
    table: pa.Table, column: InputColumn, *, categorical: Collection[str], policies: Policies
) -> Feature | str:
    """Give the feature that a column makes, or the reason why it makes none.

    Raises:
        Refused: every value is NULL; training on it must be asked for by leaving it out.
        NullRefused: a value is NULL, and the policy is error.
        UsageError: integers too large to be categories.
    """
    array = canonical_array(table, column.name, column.dtype)
    flags = missing(array)
    nulls = 0 if flags is None else int(flags.sum())
    if nulls == len(array):
        raise Refused(
            f"Column {column.name!r} is NULL in every training row; fill it, or leave it out with "
            f"--exclude {column.name}."
        )
    policy = policies.of_nulls(column)
    if nulls and policy is NullPolicy.ERROR:
        raise NullRefused.in_rows(column.name, nulls)
    distinct = len(pc.unique(array.drop_null()))
    if distinct == 1 and nulls == 0:
        return "it has the same value in every training row"
    feature = Feature(
        column=column.name,
        dtype=column.dtype,
        kind=FeatureKind.NUMBER,
        nulls=policy,
        training_nulls=nulls,
    )
    if column.dtype is LogicalDtype.TEXT or column.name in categorical:
        if column.name not in categorical and _is_identifier(distinct, len(array) - nulls):
            return f"it has {distinct:,} different texts, like an identifier or free text"
        return _category(feature, array, policies)
    if column.dtype in _MOMENTS:
        return _moment(feature, array)
    return feature.model_copy(update={"observed": _range(numbers(array))})


def _is_identifier(distinct: int, rows: int) -> bool:
    return distinct > MAX_LEVELS or (distinct > _IDENTIFIER_LEVELS and distinct > _IDENTIFIER_SHARE * rows)


def _category(feature: Feature, array: pa.Array, policies: Policies) -> Feature:
    values = sorted(pc.unique(array.drop_null()).to_pylist())
    if len(values) > MAX_LEVELS:
        raise Refused(
            f"Column {feature.column!r} has {len(values):,} levels, and a category may have {MAX_LEVELS:,}; "
            f"leave it out with --exclude {feature.column}."
        )
    if feature.dtype is LogicalDtype.INTEGER and max(abs(values[0]), abs(values[-1])) > _LARGEST_LEVEL:
        raise UsageError(f"{feature.column!r} holds integers too large to be categories; cast it to text.")
    return feature.model_copy(
        update={
            "kind": FeatureKind.CATEGORY,
            "levels": Levels(dtype=feature.dtype, values=tuple(values)),
            "unseen": policies.unseen.get(feature.column, UnseenPolicy.OTHER),
            "tolerated_unseen": policies.tolerated_unseen,
        }
    )


def _moment(feature: Feature, array: pa.Array) -> Feature:
    every = parts_of(feature.dtype)
    varying = tuple(
        part
        for part, values in zip(every, moment_parts(array, every), strict=True)
        # A part that is constant beside NULLs still tells them apart when it is the last one left.
        if np.nanmin(values) != np.nanmax(values)
    )
    extremes = pc.min_max(array)
    return feature.model_copy(
        update={
            "kind": FeatureKind.MOMENT,
            "parts": varying or every[-1:],
            "observed": (extremes["min"].as_py().isoformat(), extremes["max"].as_py().isoformat()),
        }
    )


def _range(values: FloatArray) -> tuple[float, float]:
    return float(np.nanmin(values)), float(np.nanmax(values))
