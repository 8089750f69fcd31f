"""A request to register: which model, with which sample, as what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Required, TypedDict, Unpack

import pandas as pd

from skfleet.fit_keywords import one_of, several
from skfleet.inputs.asked import InputAsked
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.names import check_name
from skfleet_common.model.manifest import Takes
from skfleet_common.model.model_file import ModelFormat
from skfleet_common.model.sample_columns import Registration
from skfleet_common.model.versions import SkewPolicy

#: Rows that are a sample of a table: enough to show NULLs and types.
SAMPLE_ROWS = 10_000


class RegisterKeywords(TypedDict, total=False):
    """The keyword arguments of ``Fleet.register``; None is as good as nothing."""

    #: A fitted estimator, or the ``.skops`` or ``.joblib`` file that holds one.
    model: Required[Any]
    #: The model's name in the registry.
    name: Required[str]
    #: Rows as the model is to score them: a DataFrame, or Parquet or CSV files.
    sample: pd.DataFrame | str | PathLike[str] | None
    #: The same in the warehouse: ``schema.name``.
    table: str | None
    #: Only rows of the table that satisfy this SQL expression.
    where: str | None
    #: By column, what its values are, instead of what the source says.
    types: Mapping[str, str] | None
    #: The column that the model predicts, or several, in its order; the sample need not have them.
    target: str | Sequence[str] | None
    #: One or several columns that identify rows; the model does not take them.
    id_column: str | Sequence[str] | None
    #: Columns that the model does not take.
    exclude: str | Sequence[str] | None
    #: What the model is called with, where it does not say: ``frame`` or ``array``.
    takes: str | None
    null_policy: Mapping[str, str] | str | None
    unseen_policy: Mapping[str, str] | str | None
    #: How far a reader's libraries may be from those here: ``exact``, ``patch`` or ``warn``.
    skew_policy: str | None
    #: ``skops``, or ``joblib`` where the workers allow it.
    format: str | None
    #: That a pickle may be read, which runs what it says.
    trust: bool


@dataclass(frozen=True)
class RegisterRequest:
    """What a user asks to be registered."""

    model: Any
    input: InputAsked
    asked: Registration
    trust: bool = False


def register_request(**given: Unpack[RegisterKeywords]) -> RegisterRequest:
    """Give the request that the keyword arguments make.

    Raises:
        UsageError: they contradict each other, or there is no sample.
    """
    check_name("model", given["name"])
    takes = given.get("takes")
    return RegisterRequest(
        model=given["model"],
        input=_bounded(
            _sample_asked(given.get("sample"), given.get("table"), given.get("where"), given.get("types")),
            id_columns=several(given.get("id_column")),
        ),
        asked=Registration(
            name=given["name"],
            targets=several(given.get("target")),
            id_columns=several(given.get("id_column")),
            exclude=several(given.get("exclude")),
            null_policy=given.get("null_policy") or {},
            unseen_policy=given.get("unseen_policy") or {},
            takes=one_of(Takes, "--takes", takes, but=(Takes.FEATURES,)) if takes else None,
            skew_policy=one_of(SkewPolicy, "--skew-policy", given.get("skew_policy") or SkewPolicy.PATCH),
            format=one_of(ModelFormat, "--format", given.get("format") or ModelFormat.SKOPS),
        ),
        trust=bool(given.get("trust")),
    )


def _bounded(asked: InputAsked, *, id_columns: tuple[str, ...]) -> InputAsked:
    """Ask for some rows alone where they can be drawn: from a table, by its ids."""
    can_draw = asked.table is None or bool(id_columns)
    return replace(asked, sample=SAMPLE_ROWS) if can_draw else asked


def _sample_asked(
    sample: Any, table: str | None, where: str | None, types: Mapping[str, str] | None
) -> InputAsked:
    if sample is None and table is None:
        raise UsageError(
            "A model is registered with a sample of its rows, from which its columns, their types and golden "
            "rows are taken: without them no worker could tell whether it predicts the same; give "
            "--sample FILE or --table NAME."
        )
    if sample is not None and table is not None:
        raise UsageError("Name one sample, with --sample or with --table.")
    if table is not None:
        return InputAsked(table=table, where=where, types=types or {})
    if isinstance(sample, pd.DataFrame):
        return InputAsked(frame=sample, types=types or {})
    file = str(sample)
    if where is not None:
        raise UsageError("--where is for --table; leave rows out of the sample's file.")
    if file.endswith((".parquet", ".pq")):
        return InputAsked(parquet=(file,), types=types or {})
    if file.endswith((".csv", ".csv.gz")):
        return InputAsked(csv=(file,), types=types or {})
    raise UsageError(f"The sample {file} is neither .parquet nor .csv; save it as one of them.")
