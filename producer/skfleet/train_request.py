"""A request to train: what to learn from, what to learn, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Required, Unpack, cast

from skfleet.fit_keywords import FitKeywords, fit_choices
from skfleet.inputs.asked import InputAsked, InputKeywords
from skfleet.out_of_sample import OutOfSampleAsked, OutOfSampleKeywords, out_of_sample_asked
from skfleet_common.contracts.names import check_name
from skfleet_common.model.choices import FitChoices


class TrainKeywords(InputKeywords, FitKeywords, OutOfSampleKeywords, total=False):
    """The keyword arguments of ``Fleet.train``."""

    #: The column to learn, or several; rows where one is NULL are left out and counted.
    target: Required[str | Sequence[str]]
    #: The model's name in the registry.
    name: Required[str]
    #: One or several columns that identify rows; never features.
    id_column: str | Sequence[str] | None


@dataclass(frozen=True)
class TrainRequest:
    """What a user asks to be trained."""

    input: InputAsked
    choices: FitChoices
    out_of_sample: OutOfSampleAsked | None = None


def train_request(**keywords: Unpack[TrainKeywords]) -> TrainRequest:
    """Give the request that the keyword arguments make.

    Raises:
        UsageError: they contradict each other.
    """
    given = cast("dict[str, Any]", keywords)
    check_name("model", given["name"])
    of_input = {name: given.pop(name) for name in InputKeywords.__annotations__ if name in given}
    of_input = {name: value for name, value in of_input.items() if value is not None}
    for listed in {"csv", "parquet", "null_text"} & of_input.keys():
        of_input[listed] = _texts(of_input[listed])
    wanted = out_of_sample_asked(given.pop("oos_output", None), given.pop("oos_if_exists", None))
    choices = replace(fit_choices(**given), keep_out_of_sample=wanted is not None)
    return TrainRequest(input=InputAsked(**of_input), choices=choices, out_of_sample=wanted)


def _texts(given: Any) -> tuple[str, ...]:
    listed = given if isinstance(given, (list, tuple)) else [given]
    return tuple(str(one) for one in listed)
