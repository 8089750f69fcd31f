"""Raw profile: the columns of a model that selects its own by name, as they are."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.arrays import canonical_array, missing
from skfleet_common.model.blanks import blanks_of
from skfleet_common.model.column_policies import Policies
from skfleet_common.model.manifest import Feature, FeatureKind, InputColumn, Role
from skfleet_common.model.notices import Notice, NoticeKind, left_out
from skfleet_common.model.policies import NullPolicy
from skfleet_common.model.profile import Profiled
from skfleet_common.model.refusals import NullRefused

#: Said of models that take texts, or anything that they encode by themselves.
OWN_LEVELS = (
    "The model takes the columns as they are, so no policy of unseen levels applies to it: what it does with "
    "a level that it never saw is its own affair; give its encoder a handle_unknown."
)


def raw_columns(table: pa.Table, columns: Sequence[InputColumn], policies: Policies) -> Profiled:
    """Keep every column that may be a feature: a pipeline may name any, and leaves out what it likes.

    Raises:
        Refused: there is no such column.
        NullRefused: a value is NULL, and the policy is error.
    """
    features: list[Feature] = []
    notices: list[Notice] = []
    for column in columns:
        if column.role is Role.EXCLUDED and column.dtype is LogicalDtype.OTHER:
            notices.append(left_out(column.name, NoticeKind.UNUSABLE_TYPE, column.reason or "it is unusable"))
        if column.role is not Role.FEATURE:
            continue
        array = canonical_array(table, column.name, column.dtype)
        flags = missing(array)
        nulls = 0 if flags is None else int(flags.sum())
        policy = policies.of_nulls(column)
        if nulls and policy is NullPolicy.ERROR:
            raise NullRefused.in_rows(column.name, nulls)
        features.append(
            Feature(
                column=column.name,
                dtype=column.dtype,
                kind=FeatureKind.RAW,
                nulls=policy,
                training_nulls=nulls,
                blanks=blanks_of(array, column.warehouse_type),
            )
        )
    if not features:
        raise Refused("No column is left to learn from; exclude fewer columns.")
    if any(feature.dtype is LogicalDtype.TEXT for feature in features):
        notices.append(Notice("", NoticeKind.SHAPE, OWN_LEVELS))
    return Profiled(tuple(columns), tuple(features), tuple(notices))
