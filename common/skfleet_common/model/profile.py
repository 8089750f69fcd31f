"""Profile: what training learns of each column before any transformer is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.model.arrays import LARGEST_LEVEL, FloatArray, canonical_array, missing, numbers
from skfleet_common.model.baselines import level_counts, of_levels, of_numbers
from skfleet_common.model.blanks import blanks_of
from skfleet_common.model.column_policies import Policies
from skfleet_common.model.feature_choices import AskedKind
from skfleet_common.model.manifest import Feature, FeatureKind, InputColumn, Levels, Role
from skfleet_common.model.moments import MOMENTS, as_numbers, iso, moment_parts, parts_of
from skfleet_common.model.notices import Notice, NoticeKind, kept, left_out
from skfleet_common.model.policies import Fill, NullPolicy
from skfleet_common.model.refusals import NullRefused, counted
from skfleet_common.model.suspicions import (
    MAX_LEVELS,
    counts_rows,
    is_free_text,
    is_near_constant,
    is_unique_integer,
    main_share,
    names_rows,
    says_the_same,
)


@dataclass(frozen=True)
class Profiled:
    """The columns with their final roles, the features that they make, and what there is to say of them."""

    columns: tuple[InputColumn, ...]
    features: tuple[Feature, ...]
    notices: tuple[Notice, ...]


def profile_columns(table: pa.Table, columns: Sequence[InputColumn], policies: Policies) -> Profiled:
    """Tell features from columns that can be none.

    Raises:
        Refused: nothing is left to learn from, or a column cannot be what it was asked to be.
    """
    roles: list[InputColumn] = []
    features: list[Feature] = []
    notices: list[Notice] = []
    targets = [
        (column.name, canonical_array(table, column.name, column.dtype))
        for column in columns
        if column.role is Role.TARGET
    ]
    for column in columns:
        roles.append(column)
        if column.role is Role.EXCLUDED and column.dtype is LogicalDtype.OTHER:
            notices.append(left_out(column.name, NoticeKind.UNUSABLE_TYPE, column.reason or "it is unusable"))
        if column.role is not Role.FEATURE:
            continue
        array = canonical_array(table, column.name, column.dtype)
        found, said = profile_column(array, column, policies)
        notices += said
        if found is None:
            roles[-1] = column.model_copy(update={"role": Role.EXCLUDED, "reason": said[-1].reason})
            continue
        features.append(found)
        notices += [
            kept(column.name, NoticeKind.TARGET_TWIN, f"says the same as the target {name!r}")
            for name, target in targets
            if says_the_same(array, target)
        ]
    if not features:
        reasons = " ".join(notice.sentence for notice in notices if notice.left_out)
        raise Refused(f"No column is left to learn from. {reasons} Exclude fewer columns.")
    if len(features) > table.num_rows:
        what = f"There are {len(features):,} features, but only {counted(table.num_rows)} to learn from"
        notices.append(Notice("", NoticeKind.SHAPE, f"{what}; leave features out or add rows."))
    return Profiled(tuple(roles), tuple(features), tuple(notices))


def profile_column(
    array: pa.Array, column: InputColumn, policies: Policies
) -> tuple[Feature | None, list[Notice]]:
    """Give the feature that a column makes, if it makes one, and what there is to say of it.

    Raises:
        NullRefused: a value is NULL, and the policy is error.
        UsageError: it cannot be what it was asked to be.
    """
    flags = missing(array)
    nulls = 0 if flags is None else int(flags.sum())
    policy = policies.of_nulls(column)
    if nulls and policy is NullPolicy.ERROR:
        raise NullRefused.in_rows(column.name, nulls)
    if nulls == len(array):
        return None, [left_out(column.name, NoticeKind.ALL_NULL, "it is NULL in every training row")]
    distinct = len(pc.unique(array.drop_null()))
    if distinct == 1 and nulls == 0:
        reason = "it has the same value in every training row"
        return None, [left_out(column.name, NoticeKind.CONSTANT, reason)]
    is_category = column.dtype is LogicalDtype.TEXT or column.name in policies.categorical
    fill = policies.fill(column.name, is_category=is_category)
    feature = Feature(
        column=column.name,
        dtype=column.dtype,
        kind=FeatureKind.NUMBER,
        nulls=policy,
        fill=None if fill is None else fill.fill,
        scale=None if is_category else policies.scale(column.name),
        training_nulls=nulls,
        blanks=blanks_of(array, column.warehouse_type),
    )
    if is_category:
        return _category(feature, array, policies, distinct=distinct)
    if column.dtype in MOMENTS:
        return _moment(feature, array, policies), []
    return _number(feature, array, policies, distinct=distinct)


def _number(
    feature: Feature, array: pa.Array, policies: Policies, *, distinct: int
) -> tuple[Feature | None, list[Notice]]:
    name, notices = feature.column, []
    if counts_rows(array, distinct) and policies.asked.of(name).kind is not AskedKind.NUMBER:
        reason = "it numbers the rows, like an identifier; ask for it with kind: number in --features"
        return None, [left_out(name, NoticeKind.IDENTIFIER, reason)]
    if is_unique_integer(array, distinct):
        what = "has a whole number of its own in every row, like an identifier"
        notices.append(kept(name, NoticeKind.IDENTIFIER, what))
    values = numbers(array)
    share = main_share(values)
    if is_near_constant(share, len(array)):
        notices.append(kept(name, NoticeKind.NEAR_CONSTANT, f"has the same value in {share:.2%} of the rows"))
    baseline = of_numbers(values, nulls=feature.training_nulls)
    update = {"observed": _range(values), "baseline": baseline, "fills": _constant(feature, policies, 1)}
    return feature.model_copy(update=update), notices


def _category(
    feature: Feature, array: pa.Array, policies: Policies, *, distinct: int
) -> tuple[Feature | None, list[Notice]]:
    name, rows = feature.column, len(array) - feature.training_nulls
    if name not in policies.categorical:
        reason = f"it has {distinct:,} different texts in {counted(rows)}"
        if distinct > 1 and is_free_text(array) and names_rows(distinct, rows):
            return None, [left_out(name, NoticeKind.FREE_TEXT, f"{reason}, like free text")]
        if names_rows(distinct, rows):
            return None, [left_out(name, NoticeKind.IDENTIFIER, f"{reason}, like an identifier")]
        if distinct > MAX_LEVELS:
            return None, [left_out(name, NoticeKind.TOO_MANY_LEVELS, f"{reason}, more than {MAX_LEVELS:,}")]
    counts = level_counts(array)
    values = [level for level, _ in counts]
    if len(counts) > MAX_LEVELS:
        raise Refused(
            f"Column {name!r} has {len(counts):,} levels, and a category may have {MAX_LEVELS:,}; "
            f"leave it out with --exclude {name}."
        )
    if feature.dtype is LogicalDtype.INTEGER and any(abs(int(level)) > LARGEST_LEVEL for level in values):
        raise UsageError(f"{name!r} holds integers too large to be categories; cast it to text.")
    least = policies.rare_below(name, levels=len(counts))
    rare = sorted(level for level, count in counts if count < least)
    if len(rare) == len(counts):
        reason = f"none of its {len(counts):,} levels is in {least:,} rows or more"
        return None, [left_out(name, NoticeKind.TOO_MANY_LEVELS, reason)]
    notices = []
    if rare:
        what = f"{len(rare):,} of {len(counts):,} levels are in fewer than {least:,} rows"
        sentence = f"Column {name!r}: {what}, and are encoded together."
        notices.append(Notice(name, NoticeKind.RARE_LEVELS, sentence))
    if is_near_constant(counts[0][1] / len(array), len(array)):
        what = f"has the same value in {counts[0][1] / len(array):.2%} of the rows"
        notices.append(kept(name, NoticeKind.NEAR_CONSTANT, what))
    fills = _constant(feature, policies, 1)
    # A constant that is no level yet becomes one: that of the missing values.
    own = sorted({*values, *fills} - set(rare))
    return feature.model_copy(
        update={
            "kind": FeatureKind.CATEGORY,
            "levels": Levels(dtype=feature.dtype, values=tuple(own)),
            "rare_levels": Levels(dtype=feature.dtype, values=tuple(rare)) if rare else None,
            "fills": fills,
            "unseen": policies.of_unseen(name),
            "tolerated_unseen": policies.tolerated(name),
            "baseline": of_levels(counts, rows=len(array), nulls=feature.training_nulls),
        }
    ), notices


def _moment(feature: Feature, array: pa.Array, policies: Policies) -> Feature:
    asked = policies.asked.of(feature.column).parts
    every = parts_of(feature.dtype) if asked is None else asked
    varying = tuple(
        part
        for part, values in zip(every, moment_parts(array, every), strict=True)
        # A part that is constant beside NULLs still tells them apart when it is the last one left.
        if asked is not None or np.nanmin(values) != np.nanmax(values)
    )
    extremes = pc.min_max(array)
    parts = varying or every[-1:]
    return feature.model_copy(
        update={
            "kind": FeatureKind.MOMENT,
            "parts": parts,
            "observed": (iso(extremes["min"]), iso(extremes["max"])),
            "baseline": of_numbers(as_numbers(array), nulls=feature.training_nulls),
            "fills": _constant(feature, policies, len(parts)),
        }
    )


def _constant(feature: Feature, policies: Policies, parts: int) -> tuple[int | float | str, ...]:
    """Give the constant that was asked for in place of NULL, once a part; nothing if none was."""
    asked = policies.fill(feature.column, is_category=feature.dtype is LogicalDtype.TEXT)
    if feature.fill is not Fill.CONSTANT or asked is None or asked.constant is None:
        return ()
    return (asked.constant,) * parts


def _range(values: FloatArray) -> tuple[float, float]:
    return float(np.nanmin(values)), float(np.nanmax(values))
