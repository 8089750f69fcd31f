"""Predicates: a condition over the columns of files, asked of rows, or of what statistics say of them.

Three truths as in SQL: a comparison with NULL is unknown, and a row is let through only if the condition is
true of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from skfleet_common.files.compared import comparable


@dataclass(frozen=True)
class AskedRows:
    """Rows of a file, each column made comparable once."""

    batch: pa.RecordBatch
    label: str
    _comparable: dict[str, pa.Array] = field(default_factory=dict)

    def column(self, name: str) -> pa.Array:
        """Give a column as it is compared."""
        if name not in self._comparable:
            self._comparable[name] = comparable(self.batch.column(name), column=name, label=self.label)
        return self._comparable[name]

    def let_through(self, predicate: Predicate) -> pa.BooleanArray:
        """Give whether each row is let through; no NULLs."""
        return pc.fill_null(predicate.truths(self), fill_value=False)


@dataclass(frozen=True)
class Bounds:
    """What is known of the values of a column."""

    #: The smallest and the largest, or values beyond them, as they are compared; None where nobody knows.
    ends: pa.Array | None = None
    may_be_null: bool = True
    may_be_value: bool = True


@dataclass(frozen=True)
class Possible:
    """The truths that a condition may have of some rows; at least those that it has."""

    true: bool
    false: bool
    null: bool


class Predicate(Protocol):
    """A condition; as a text it is one that is read again as the same."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it asks for."""

    def truths(self, rows: AskedRows) -> pa.BooleanArray:
        """Give whether it is true of each row; NULL where that is unknown."""

    def possible(self, bounds: Mapping[str, Bounds]) -> Possible:
        """Give what it may be of rows within these bounds."""


@dataclass(frozen=True)
class Constant:
    """TRUE, FALSE or NULL, whatever the row."""

    truth: bool | None

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it asks for."""
        return frozenset()

    def truths(self, rows: AskedRows) -> pa.BooleanArray:
        """Give what it is of each row."""
        return pa.repeat(pa.scalar(self.truth, pa.bool_()), rows.batch.num_rows)

    def possible(self, bounds: Mapping[str, Bounds]) -> Possible:
        """Give what it may be."""
        del bounds
        return Possible(true=self.truth is True, false=self.truth is False, null=self.truth is None)

    def __str__(self) -> str:
        """Give it as SQL."""
        return "NULL" if self.truth is None else str(self.truth).upper()


@dataclass(frozen=True)
class Not:
    """The opposite; of what is unknown, too, it is unknown."""

    of: Predicate

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it asks for."""
        return self.of.columns

    def truths(self, rows: AskedRows) -> pa.BooleanArray:
        """Give what it is of each row."""
        return pc.invert(self.of.truths(rows))

    def possible(self, bounds: Mapping[str, Bounds]) -> Possible:
        """Give what it may be."""
        it = self.of.possible(bounds)
        return Possible(true=it.false, false=it.true, null=it.null)

    def __str__(self) -> str:
        """Give it as SQL."""
        return f"(NOT {self.of})"


@dataclass(frozen=True)
class Is:
    """Whether a condition is true, false, or (None) unknown; that itself is never unknown."""

    of: Predicate
    truth: bool | None

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it asks for."""
        return self.of.columns

    def truths(self, rows: AskedRows) -> pa.BooleanArray:
        """Give what it is of each row."""
        truths = self.of.truths(rows)
        if self.truth is None:
            return pc.is_null(truths)
        return pc.fill_null(pc.equal(truths, self.truth), fill_value=False)

    def possible(self, bounds: Mapping[str, Bounds]) -> Possible:
        """Give what it may be."""
        it = self.of.possible(bounds)
        each = {True: it.true, False: it.false, None: it.null}
        others = any(may for truth, may in each.items() if truth is not self.truth)
        return Possible(true=each[self.truth], false=others, null=False)

    def __str__(self) -> str:
        """Give it as SQL."""
        return f"({self.of} IS {Constant(self.truth)})"


@dataclass(frozen=True)
class Several:
    """Conditions of which all hold, or any."""

    word: Literal["AND", "OR"]
    parts: tuple[Predicate, ...]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it asks for."""
        return frozenset().union(*(part.columns for part in self.parts))

    def truths(self, rows: AskedRows) -> pa.BooleanArray:
        """Give what it is of each row."""
        combine = pc.and_kleene if self.word == "AND" else pc.or_kleene
        return reduce(combine, (part.truths(rows) for part in self.parts))

    def possible(self, bounds: Mapping[str, Bounds]) -> Possible:
        """Give what it may be."""
        each = [part.possible(bounds) for part in self.parts]
        if self.word == "OR":
            # The same by De Morgan, so that there is one rule.
            each = [Possible(true=it.false, false=it.true, null=it.null) for it in each]
        true, false = all(it.true for it in each), any(it.false for it in each)
        null = any(it.null for it in each) and all(it.true or it.null for it in each)
        return (
            Possible(true=true, false=false, null=null) if self.word == "AND" else Possible(false, true, null)
        )

    def __str__(self) -> str:
        """Give it as SQL."""
        return "(" + f" {self.word} ".join(map(str, self.parts)) + ")"
