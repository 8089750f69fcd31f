"""A request to score, made from the keyword arguments of ``Fleet.predict``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from skfleet.fit_keywords import several
from skfleet.read_modes import ReadMode
from skfleet.request import PredictRequest
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.file_sources import FileFormat
from skfleet_common.contracts.jobs import IfExists, OnDrift

if TYPE_CHECKING:
    import pandas as pd

Path = str | PathLike[str]


class PredictKeywords(TypedDict, total=False):
    """The keyword arguments of ``Fleet.predict``; None is as good as nothing."""

    #: ``NAME`` (its newest bundle) or ``NAME@<digest prefix>``.
    model: str | None
    #: Several of them instead: each scores what is read once, and its columns begin with its name.
    models: Sequence[str]
    #: ``schema.name`` of the table or view to score.
    table: str | None
    #: CSV files instead: a file, a prefix (``s3://…/``), a pattern or a manifest on S3, or files here.
    csv: Path | Sequence[Path] | None
    #: The same of Parquet files.
    parquet: Path | Sequence[Path] | None
    #: A pandas DataFrame instead.
    frame: pd.DataFrame | None
    #: One or several columns that identify rows: never NULL, unique. Files and frames need none: by default
    #: their rows are told apart by file and row number.
    id_column: str | Sequence[str]
    #: ``schema.name`` of the table to publish.
    output_table: str | None
    #: ``s3://bucket/prefix/`` to publish files below instead.
    output: str | None
    #: Of such files: ``parquet`` (the default) or ``csv``.
    output_format: str | None
    #: Whether there is to be one file, however large.
    one_file: bool
    #: What to write of ``predict``, ``proba``, ``decision`` and ``transform``; by default what the model
    #: gives of the first two, or decision values without probabilities.
    outputs: str | Sequence[str]
    #: The column whose ranges cut a table; the first id column by default.
    split_column: str | None
    #: ``fail``, ``append`` (tables alone) or ``replace``.
    if_exists: str
    #: How a table of Redshift is read: ``select``, ``unload``, or ``auto`` (the default), which decides.
    read: str | None
    #: A boolean expression over a table, in the warehouse's dialect.
    where: str | None
    #: Output columns to write, and columns of the source to carry along.
    columns: Sequence[str]
    #: Rows a chunk; chosen from the model's speed by default.
    chunk_rows: int | None
    #: Features that may be NULL in every row.
    allow_all_null: Sequence[str]
    #: ``fail``, or ``warn`` to publish a table whose rows changed while the job ran.
    on_drift: str
    #: Rows that may be set aside because they cannot be read or scored, before the job fails. Rows that a
    #: policy of the model rejects are not counted.
    max_rejects: int
    #: Make views that depend on a replaced output table anew on its successor.
    cascade_views: bool
    #: Fail, and publish nothing, if a column or a score has drifted from the training rows by more than this
    #: population stability index. None measures it all the same.
    max_drift: float | None
    #: Of CSV files: one character; told from the first file by default.
    delimiter: str | None
    #: Of CSV files: UTF-8 by default, or what a byte-order mark says.
    encoding: str | None
    #: Texts that mean NULL wherever they stand in CSV files.
    null_text: str | Sequence[str]
    #: By column of CSV files, what its values are, instead of what they look like.
    types: Mapping[str, str]
    #: Read every CSV file whole: for those whose quotes do not tell where records end.
    whole_files: bool
    #: Makes requests with the same token one job.
    token: str | None


def predict_request(**keywords: Unpack[PredictKeywords]) -> PredictRequest:
    """Give the request that the keyword arguments make; a frame has been written to a file before.

    Raises:
        UsageError: they contradict each other.
    """
    given: dict[str, Any] = {name: value for name, value in keywords.items() if value is not None}
    model = given.pop("model", None)
    models = [*([] if model is None else [model]), *given.pop("models", ())]
    if not models or (model is not None and len(models) > 1):
        raise UsageError("Give either model or models, and name one at least.")
    outputs = given.pop("outputs", ())
    for name in ("csv", "parquet"):
        given[name] = _paths(given.get(name, ()))
    for name, choices in _CHOICES.items():
        if name in given:
            given[name] = _one_of(choices, name, given[name])
    for name in ("columns", "allow_all_null"):
        given[name] = tuple(given.get(name, ()))
    if given.get("read") is ReadMode.AUTO:
        # What was asked for before there was a choice is the same request still.
        given.pop("read")
    return PredictRequest(
        model=str(models[0]),
        more_models=tuple(models[1:]),
        outputs=several(outputs.split(",") if isinstance(outputs, str) else outputs),
        id_columns=several(given.pop("id_column", ())),
        null_text=several(given.pop("null_text", ())),
        types=tuple(given.pop("types", {}).items()),
        **given,
    )


_CHOICES: dict[str, type[StrEnum]] = {
    "if_exists": IfExists,
    "on_drift": OnDrift,
    "output_format": FileFormat,
    "read": ReadMode,
}
_Choice = TypeVar("_Choice", bound=StrEnum)


def _one_of(choices: type[_Choice], name: str, text: str) -> _Choice:
    try:
        return choices(text)
    except ValueError as exc:
        raise UsageError(f"{name} must be {', '.join(choices)}, not {text!r}.") from exc


def _paths(given: Path | Sequence[Path]) -> tuple[str, ...]:
    listed = [given] if isinstance(given, str | PathLike) else given
    return tuple(str(one) for one in listed)
