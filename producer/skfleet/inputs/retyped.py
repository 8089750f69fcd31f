"""Other types than the source's own, where ``--type`` asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from skfleet.inputs.port import TrainingInput
from skfleet.inputs.tally import Tally
from skfleet.inputs.types import types_by_column
from skfleet.progress import Steps
from skfleet_common.contracts.columns import Column, LogicalDtype, type_word
from skfleet_common.contracts.errors import Refused, shown
from skfleet_common.files.spellings import as_type
from skfleet_common.files.types import file_column
from skfleet_common.model.arrays import CANONICAL
from skfleet_common.model.choices import Origin

_FLOATS = {LogicalDtype.FLOAT32, LogicalDtype.FLOAT64, LogicalDtype.DECIMAL}
_NUMBERS = _FLOATS | {LogicalDtype.INTEGER}
_LOCAL = {LogicalDtype.DATE, LogicalDtype.TIMESTAMP}
_MOMENTS = _LOCAL | {LogicalDtype.TIMESTAMPTZ}


def retyped(source: TrainingInput, types: Mapping[str, LogicalDtype]) -> TrainingInput:
    """Give the input with other types for some columns, named as the user spelt them.

    Raises:
        Refused: there is no such column, or its values cannot be of such a type.
    """
    asked = types_by_column(types, source.columns, source=source.label)
    for column in source.columns:
        wanted = asked.get(column.name, column.dtype)
        if wanted is not column.dtype and not _is_possible(column.dtype, wanted):
            raise Refused(
                f"{source.label}: column {shown(column.name)!r} is {column.warehouse_type}, which cannot be "
                f"read as {type_word(wanted)}; name another --type, or convert it at its source."
            )
    return RetypedInput(source, asked) if asked else source


@dataclass(frozen=True)
class RetypedInput:
    """An input, some of whose columns are converted when they are read."""

    source: TrainingInput
    types: Mapping[str, LogicalDtype]

    @property
    def label(self) -> str:
        """The source's own."""
        return self.source.label

    @property
    def columns(self) -> tuple[Column, ...]:
        """The source's own, with the types that were asked for."""
        return tuple(
            column
            if self._wanted(column) is column.dtype
            else file_column(column.name, self._wanted(column), nullable=column.nullable)
            for column in self.source.columns
        )

    @property
    def rows(self) -> int | None:
        """The source's own."""
        return self.source.rows

    @property
    def notes(self) -> tuple[str, ...]:
        """The source's own."""
        return self.source.notes

    @property
    def origin(self) -> Origin:
        """The source's own."""
        return self.source.origin

    def check(self, names: Sequence[str]) -> None:
        """Refuse what the source refuses."""
        self.source.check(names)

    def read(self, names: Sequence[str], *, steps: Steps) -> pa.Table:
        """Give the named columns, converted.

        Raises:
            Refused: a value cannot be what was asked for.
        """
        table = self.source.read(names, steps=steps)
        for column in self.source.columns:
            wanted = self._wanted(column)
            if column.name not in names or wanted is column.dtype:
                continue
            position = table.schema.get_field_index(column.name)
            array = table.column(position).combine_chunks()
            table = table.set_column(position, column.name, self._converted(array, column, wanted))
        return table

    def _wanted(self, column: Column) -> LogicalDtype:
        return self.types.get(column.name, column.dtype)

    def _converted(self, array: pa.Array, column: Column, wanted: LogicalDtype) -> pa.Array:
        if pa.types.is_null(array.type):
            return array.cast(CANONICAL[wanted])
        try:
            if column.dtype is LogicalDtype.TEXT:
                return self._read_texts(array, column, wanted)
            return _cast(array, column.dtype, wanted)
        except pa.ArrowInvalid as exc:
            raise self._not_all(column, wanted) from exc

    def _read_texts(self, array: pa.Array, column: Column, wanted: LogicalDtype) -> pa.Array:
        tally = Tally()
        tally.add(array.cast(pa.string()), file=0, first_row=0)
        odd = tally.as_asked(wanted).odd
        if odd is not None:
            raise self._not_all(column, wanted, such_as=odd.example)
        return as_type(array.cast(pa.string()), wanted)

    def _not_all(self, column: Column, wanted: LogicalDtype, *, such_as: str | None = None) -> Refused:
        example = "" if such_as is None else f" ({shown(such_as)!r})"
        return Refused(
            f"{self.label}: column {shown(column.name)!r} is to be {type_word(wanted)}, but holds values "
            f"that are not{example}; correct them, or name another --type."
        )


def _is_possible(dtype: LogicalDtype, wanted: LogicalDtype) -> bool:
    if LogicalDtype.OTHER in {dtype, wanted}:
        return False
    if LogicalDtype.TEXT in {dtype, wanted}:
        return True
    numbers = _NUMBERS | {LogicalDtype.BOOLEAN}
    return {dtype, wanted} <= numbers or {dtype, wanted} <= _MOMENTS


def _cast(array: pa.Array, dtype: LogicalDtype, wanted: LogicalDtype) -> pa.Array:
    """Convert values that lose nothing by it.

    Raises:
        pa.ArrowInvalid: a value would become another one.
    """
    array = array.cast(CANONICAL[dtype])
    if wanted in _MOMENTS and dtype in _MOMENTS:
        return _moments(array, dtype, wanted)
    if wanted is LogicalDtype.BOOLEAN:
        if not pc.all(pc.or_(pc.equal(array, 0), pc.equal(array, 1)), min_count=0).as_py():
            raise pa.ArrowInvalid("a number other than 0 and 1")
        return pc.equal(array, 1)
    if wanted in _FLOATS:
        return array.cast(pa.float64(), safe=False).cast(CANONICAL[wanted], safe=False)
    if wanted is LogicalDtype.INTEGER and dtype in _FLOATS:
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    return array.cast(CANONICAL[wanted])


def _moments(array: pa.Array, dtype: LogicalDtype, wanted: LogicalDtype) -> pa.Array:
    """Convert moments: one without a zone is taken as UTC, and one with a zone is said in UTC."""
    zone = "UTC" if dtype is LogicalDtype.TIMESTAMPTZ else None
    moments = array.cast(pa.timestamp("us", tz=zone)).cast(pa.int64())
    if wanted is not LogicalDtype.DATE:
        return moments.cast(CANONICAL[wanted])
    dates = moments.cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
    back = dates.cast(pa.timestamp("us")).cast(pa.int64())
    if not pc.all(pc.equal(back, moments), min_count=0).as_py():
        raise pa.ArrowInvalid("a time of day")
    return dates
