"""Refusals: the sentences with which a model turns rows or columns down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from skfleet_common.contracts.errors import Refused, nearest

#: More names than this do not help anybody to find the fault.
_NAMED_AT_MOST = 3


class MissingColumn(Refused):
    """A column that the model needs is not there. The user adds it or renames one."""

    @classmethod
    def called(cls, column: str, known: Iterable[str]) -> Self:
        """Say which column is missing, and which known one may be it under another name."""
        hint = nearest(column, list(known))
        return cls(f"The model needs a column {column!r}, which is not there; add it or rename it back{hint}")


class TypeChanged(Refused):
    """A column does not hold what it held in training. The user casts it back or trains again."""

    #: What it holds now, in words.
    got: str = ""

    @classmethod
    def of(cls, column: str, *, expected: str, got: str, as_type: str | None = None) -> Self:
        """Say what the column held in training, and what it holds now.

        ``as_type`` is the word that asks training for what it holds now.
        """
        again = "" if as_type is None else f" with --type {column}={as_type} (types= in Python)"
        error = cls(
            f"The type of column {column!r} changed: the model was trained on {expected} but got {got}; "
            f"cast it back or train again{again}."
        )
        error.got = got
        return error


class NullRefused(Refused):
    """A feature is NULL where its policy allows none. The user fills it or trains with another policy."""

    @classmethod
    def in_rows(cls, column: str, rows: int, *, is_raw: bool = False) -> Self:
        """Say how many rows are NULL; ``is_raw`` where the model may have been fitted elsewhere."""
        again = "train or register it" if is_raw else "train"
        return cls(
            f"Column {column!r} is NULL in {counted(rows)}, but its null policy is error; fill it, leave "
            f"those rows out, or {again} with the null policy missing or reject_row."
        )


class UnseenLevel(Refused):
    """A category has levels that the model never saw. The user trains again or changes the policy."""

    @classmethod
    def in_rows(
        cls, column: str, rows: int, *, levels: Sequence[str] = (), is_registered: bool = False
    ) -> Self:
        """Say how many rows hold unseen levels, and name some if they may be named."""
        if is_registered:
            return cls(
                f"Column {column!r} holds levels that are not among the categories of the model's "
                f"sample{named(levels)} in {counted(rows)}, and its unseen policy is error; leave those rows "
                "out, register it with a sample that has them as categories, or with the unseen policy other "
                "(NULL to the model) or reject_row."
            )
        return cls(
            f"Column {column!r} holds levels that the model never saw{named(levels)} in {counted(rows)}, but "
            "its unseen policy is error; train again, or train with the unseen policy other or reject_row."
        )

    @classmethod
    def too_often(
        cls,
        column: str,
        rows: int,
        *,
        of_rows: int,
        tolerated: float,
        levels: Sequence[str] = (),
        is_registered: bool = False,
    ) -> Self:
        """Say that the rate of unseen levels is above the tolerated one."""
        again = (
            "register it with a sample that has them as categories."
            if is_registered
            else "train again, or train with a higher tolerated rate."
        )
        return cls(
            f"Column {column!r} holds levels that the model never saw{named(levels)} in {counted(rows)} of "
            f"{of_rows:,} ({rows / of_rows:.1%}), more than the tolerated {tolerated:.1%}; {again}"
        )


class Misbehaved(Refused):
    """An estimator does not keep scikit-learn's rules. Who wrote it mends it."""


def named(names: Sequence[str]) -> str:
    """Give ``' (a, b, c and 4 more)'`` with at most three names, or nothing."""
    if not names:
        return ""
    shown = ", ".join(repr(name) for name in names[:_NAMED_AT_MOST])
    more = len(names) - _NAMED_AT_MOST
    return f" ({shown} and {more} more)" if more > 0 else f" ({shown})"


def counted(rows: int) -> str:
    """Give ``'1 row'`` or ``'1,234 rows'``."""
    return f"{rows:,} row" if rows == 1 else f"{rows:,} rows"
