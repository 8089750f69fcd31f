"""Policies: what becomes of NULLs, of levels that training never saw, and of numbers as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from skfleet_common.contracts.errors import UsageError, nearest

#: The share of rows with an unseen level up to which ``other`` only warns. Open-ended columns (tail numbers,
#: shops) soon meet many new levels; a column that came to mean something else meets little but new ones.
DEFAULT_TOLERATED_UNSEEN = 0.5


class NullPolicy(StrEnum):
    """What becomes of a row whose feature is NULL."""

    #: Trees take it as missing, linear models as the recorded fill.
    MISSING = "missing"
    ERROR = "error"
    REJECT_ROW = "reject_row"


class UnseenPolicy(StrEnum):
    """What becomes of a row whose level is not among the model's."""

    #: Scored as a level of its own, up to a tolerated rate.
    OTHER = "other"
    ERROR = "error"
    REJECT_ROW = "reject_row"


class Fill(StrEnum):
    """What stands in for a missing value; learned from the training rows unless it is a constant."""

    #: Nothing: the model itself takes missing values.
    NONE = "none"
    MEDIAN = "median"
    MEAN = "mean"
    MOST_FREQUENT = "most_frequent"
    CONSTANT = "constant"


class Scale(StrEnum):
    """How a number is moved and stretched; learned from the training rows."""

    NONE = "none"
    #: Mean 0 and standard deviation 1.
    STANDARD = "standard"
    #: Median 0 and interquartile range 1, which outliers do not move.
    ROBUST = "robust"
    #: From 0 to 1.
    MIN_MAX = "min_max"
    #: From -1 to 1, and 0 stays 0.
    MAX_ABS = "max_abs"


Policy = TypeVar("Policy", NullPolicy, UnseenPolicy)


#: Stands for every column that has no policy of its own.
ALL_COLUMNS = "*"


def policy_by_column(
    kind: type[Policy], asked: Mapping[str, str] | str | None, columns: Sequence[str]
) -> dict[str, Policy]:
    """Give the policy that was asked for, by column; columns that nobody spoke of are left out.

    ``asked`` is one policy for all ``columns``, or policies by column name, where ``*`` speaks for the rest.

    Raises:
        UsageError: a policy or a column that does not exist.
    """
    if asked is None:
        return {}
    if not isinstance(asked, str | Mapping):
        raise UsageError(
            f"A policy is a word, or a mapping of words by column, not a {type(asked).__name__}; give "
            f"one of {', '.join(kind)}, or {{'COLUMN': 'WORD'}}."
        )
    if isinstance(asked, str):
        return dict.fromkeys(columns, _policy(kind, asked))
    for name in asked:
        if name not in {ALL_COLUMNS, *columns}:
            raise UsageError(
                f"A policy is given for {name!r}, which is no feature{nearest(name, list(columns))}"
            )
    by_name = {name: _policy(kind, policy) for name, policy in asked.items()}
    for_the_rest = by_name.pop(ALL_COLUMNS, None)
    return ({} if for_the_rest is None else dict.fromkeys(columns, for_the_rest)) | by_name


def _policy(kind: type[Policy], text: str) -> Policy:
    try:
        return kind(text)
    except ValueError as exc:
        known = ", ".join(kind)
        raise UsageError(f"{text!r} is no policy; use one of {known}{nearest(text, list(kind))}") from exc
