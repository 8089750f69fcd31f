"""Notices: what training saw in a column that its user should know, whether the column was kept or not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NoticeKind(StrEnum):
    """What is the matter with a column."""

    #: A name for each row, from which nothing can be learned for the next one.
    IDENTIFIER = "identifier"
    FREE_TEXT = "free_text"
    TOO_MANY_LEVELS = "too_many_levels"
    CONSTANT = "constant"
    NEAR_CONSTANT = "near_constant"
    ALL_NULL = "all_null"
    #: Of a type that is no number, category or moment.
    UNUSABLE_TYPE = "unusable_type"
    #: It says what the target says: it may not be known yet when rows are scored.
    TARGET_TWIN = "target_twin"
    RARE_LEVELS = "rare_levels"
    #: Texts that are filled up with blanks to one length.
    PADDED = "padded"
    #: More features than rows, or whatever else is not of one column.
    SHAPE = "shape"


@dataclass(frozen=True)
class Notice:
    """One sentence about a column, which names it and says why."""

    #: Empty where it is about all of them.
    column: str
    kind: NoticeKind
    sentence: str
    #: Whether the column is no feature for this reason.
    left_out: bool = False

    @property
    def reason(self) -> str:
        """Why the column was left out, as the manifest says it."""
        return self.sentence.removeprefix(_left_out_of(self.column)).removesuffix(".")


def left_out(column: str, kind: NoticeKind, reason: str) -> Notice:
    """Give the notice of a column that was left out; ``reason`` begins with ``it``."""
    return Notice(column, kind, f"{_left_out_of(column)}{reason}.", left_out=True)


def kept(column: str, kind: NoticeKind, what: str) -> Notice:
    """Give the notice of a column that stays a feature; ``what`` begins with a verb."""
    return Notice(column, kind, f"Column {column!r} {what}; leave it out with --exclude if it should not be.")


def _left_out_of(column: str) -> str:
    return f"Column {column!r} was left out: "
