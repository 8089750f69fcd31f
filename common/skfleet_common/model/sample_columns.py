"""Sample columns: which of a sample's columns a model that was fitted elsewhere takes, and as what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused, nearest, shown
from skfleet_common.model.arrays import canonical_array, missing
from skfleet_common.model.blanks import blanks_of
from skfleet_common.model.frame_inputs import NUMERIC
from skfleet_common.model.manifest import Feature, FeatureKind, InputColumn, Levels, Role, Takes
from skfleet_common.model.model_file import ModelFormat
from skfleet_common.model.policies import (
    DEFAULT_TOLERATED_UNSEEN,
    NullPolicy,
    UnseenPolicy,
    policy_by_column,
)
from skfleet_common.model.registered import count_of_inputs, names_of_inputs
from skfleet_common.model.versions import SkewPolicy


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What a user says of a model that was fitted elsewhere."""

    name: str
    #: The columns that the model predicts, in its order; the sample may have them or not.
    targets: tuple[str, ...] = ()
    id_columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    #: As in training; a column without NULL in the sample that could not hold one has the policy error.
    null_policy: Mapping[str, str] | str = field(default_factory=dict)
    unseen_policy: Mapping[str, str] | str = field(default_factory=dict)
    #: What the model is called with, where it does not say so itself.
    takes: Takes | None = None
    #: The levels of pandas categoricals, by column, in their order.
    categories: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    skew_policy: SkewPolicy = SkewPolicy.PATCH
    format: ModelFormat = ModelFormat.SKOPS
    seed: int = 0


def inputs_of(
    model: Any, columns: Sequence[Column], asked: Registration, *, takes: Takes
) -> tuple[list[Column], tuple[InputColumn, ...]]:
    """Give the columns that the model takes, in its order, and what each column of the sample is.

    Raises:
        Refused: the sample lacks a column that the model was fitted on, or has one that it cannot take.
    """
    by_name = {column.name: column for column in columns}
    names = names_of_inputs(model)
    others = {*asked.id_columns, *asked.exclude, *asked.targets}
    if names is not None and takes is Takes.FRAME:
        for name in names:
            if name not in by_name:
                raise Refused(
                    f"The model was fitted on a column {name!r}, which the sample lacks; add it"
                    f"{nearest(name, list(by_name))}"
                )
            if name in {*asked.id_columns, *asked.targets}:
                raise Refused(f"The model was fitted on {name!r}, so it can be neither target nor id column.")
        chosen = [by_name[name] for name in names]
    else:
        chosen = [column for column in columns if column.name not in others]
        wanted = count_of_inputs(model)
        if wanted is not None and wanted != len(chosen):
            raise Refused(
                f"The model was fitted on {wanted} columns, but the sample has {len(chosen)} beside target, "
                f"id and excluded columns ({shown(', '.join(column.name for column in chosen))}); give it "
                "the model's columns, in their order."
            )
    for column in chosen:
        if column.dtype is LogicalDtype.OTHER:
            raise Refused(
                f"Column {column.name!r} of the sample is {column.warehouse_type}, which no model can use; "
                f"cast it, or leave it out with --exclude {column.name}."
            )
        if takes is Takes.ARRAY and column.dtype not in NUMERIC | {LogicalDtype.TEXT}:
            raise Refused(
                f"Column {column.name!r} of the sample is {column.warehouse_type}, which a plain array does "
                "not hold; make numbers of it, or fit the model on a DataFrame."
            )
    taken = {column.name for column in chosen}
    return chosen, tuple(_role(column, asked, is_input=column.name in taken) for column in columns)


def _role(column: Column, asked: Registration, *, is_input: bool) -> InputColumn:
    role, reason = Role.FEATURE, None
    if column.name in asked.targets:
        role = Role.TARGET
    elif column.name in asked.id_columns:
        role = Role.KEY
    elif column.name in asked.exclude:
        role, reason = Role.EXCLUDED, "excluded by the user"
    elif not is_input:
        role, reason = Role.EXCLUDED, "the model does not take it"
    return InputColumn(**column.model_dump(), role=role, reason=reason)


def raw_features(sample: pa.Table, inputs: Sequence[Column], asked: Registration) -> tuple[Feature, ...]:
    """Give the features that the columns are: nothing is made of them, and NULLs are as in the sample."""
    names = [column.name for column in inputs]
    nulls = policy_by_column(NullPolicy, asked.null_policy, names)
    unseen = policy_by_column(UnseenPolicy, asked.unseen_policy, names)
    features = []
    for column in inputs:
        array = canonical_array(sample, column.name, column.dtype)
        flags = missing(array)
        count = 0 if flags is None else int(flags.sum())
        # Whole numbers and booleans change their dtype when a NULL comes among them.
        is_strict = column.dtype in {LogicalDtype.INTEGER, LogicalDtype.BOOLEAN} and not count
        categories = asked.categories.get(column.name)
        features.append(
            Feature(
                column=column.name,
                dtype=column.dtype,
                kind=FeatureKind.RAW,
                nulls=nulls.get(column.name, NullPolicy.ERROR if is_strict else NullPolicy.MISSING),
                training_nulls=count,
                blanks=blanks_of(array, column.warehouse_type),
                levels=None if categories is None else Levels(dtype=column.dtype, values=categories),
                unseen=None if categories is None else unseen.get(column.name, UnseenPolicy.ERROR),
                tolerated_unseen=None if categories is None else DEFAULT_TOLERATED_UNSEEN,
            )
        )
    return tuple(features)
