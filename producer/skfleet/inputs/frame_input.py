"""A pandas DataFrame as training input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd
import pyarrow as pa

from skfleet.inputs.memory import needed_bytes, refuse_too_large
from skfleet.inputs.moments import refuse_unreadable
from skfleet.inputs.sample import Sample
from skfleet.progress import Steps
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused, UsageError, shown
from skfleet_common.files.types import file_column
from skfleet_common.model.choices import Origin
from skfleet_common.model.frames import array_of_series, dtype_of_series
from skfleet_common.model.refusals import TypeChanged

#: A text's bytes are not known before it is read.
_VALUE_BYTES = 8


@dataclass(frozen=True)
class FrameInput:
    """The rows of a DataFrame, in which the index is no column."""

    frame: pd.DataFrame
    columns: tuple[Column, ...]
    sample: Sample | None = None
    label: str = "The frame"

    @classmethod
    def open(cls, frame: Any, *, sample: Sample | None = None) -> Self:
        """Tell the types of a frame's columns.

        Raises:
            UsageError: it is no DataFrame.
            Refused: its names cannot tell columns apart.
        """
        if not isinstance(frame, pd.DataFrame):
            raise UsageError(f"frame takes a pandas DataFrame, not {type(frame).__name__}.")
        _check_names(list(frame.columns))
        return cls(frame, tuple(_column(name, frame[name]) for name in frame.columns), sample=sample)

    @property
    def rows(self) -> int | None:
        """The rows that will be read."""
        return len(self.frame) if self.sample is None else min(len(self.frame), self.sample.rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """That an index which has a name is left aside."""
        names = [str(name) for name in self.frame.index.names if name is not None]
        if not names:
            return ()
        return (f"The frame's index ({', '.join(names)}) is no column; frame.reset_index() makes it one.",)

    @property
    def origin(self) -> Origin:
        """That it was a frame; what it held is the fingerprint's to say."""
        sampled = None if self.sample is None else self.sample.rows
        return Origin(source="a DataFrame", kind="frame", sampled=sampled)

    def check(self, names: Sequence[str]) -> None:
        """Refuse rows that would not fit in memory."""
        rows = self.rows or 0
        needed = needed_bytes(rows, len(names), table_bytes=rows * len(names) * _VALUE_BYTES)
        refuse_too_large(self.label, needed, rows=rows, remedy="frame.sample(…)")

    def read(self, names: Sequence[str], *, steps: Steps) -> pa.Table:
        """Give the named columns of all rows, or of the sample.

        Raises:
            Refused: a column holds a mixture of types, or the rows do not fit in memory.
        """
        self.check(names)
        frame = self.frame
        if self.sample is not None:
            frame = frame.iloc[self.sample.positions(len(frame))]
        dtypes = {column.name: column.dtype for column in self.columns}
        arrays = []
        with steps.step("Reading training rows", total=len(names), unit="columns") as step:
            for name in names:
                arrays.append(_array(frame[name], name, dtypes[name]))
                step.reach(len(arrays))
        return pa.table(dict(zip(names, arrays, strict=True)))


def _array(series: pd.Series, name: str, dtype: LogicalDtype) -> pa.Array:
    try:
        array = array_of_series(series, name, dtype)
    except TypeChanged as exc:
        raise Refused(
            f"The frame's column {shown(name)!r} holds {exc.got}; convert it to one type, or leave it out "
            "with exclude."
        ) from exc
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    refuse_unreadable(array, column=name, label="The frame")
    return array


def _column(name: str, series: pd.Series) -> Column:
    dtype = dtype_of_series(series)
    if dtype is LogicalDtype.OTHER:
        return Column(name=name, warehouse_type=str(series.dtype), dtype=dtype)
    # A mixture is called text, and refused when it is to be read: it is not left out in silence.
    column = file_column(name, dtype or LogicalDtype.TEXT)
    is_category = dtype is LogicalDtype.INTEGER and isinstance(series.dtype, pd.CategoricalDtype)
    return column.model_copy(update={"is_category": True}) if is_category else column


def _check_names(names: list[Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise Refused(
                f"The frame's column {shown(str(name))} has a name that is no text; rename it, for example "
                "with frame.columns = frame.columns.map(str)."
            )
        if not name.strip():
            raise Refused("The frame has a column without a name; give it one.")
    for name, times in Counter(names).items():
        if times > 1:
            raise Refused(f"The frame has {times} columns called {shown(name)!r}; rename all but one.")
