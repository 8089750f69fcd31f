"""Columns of a source table: their names, types and what the model may do with them."""

from __future__ import annotations

from enum import StrEnum

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.shapes import Shape


class LogicalDtype(StrEnum):
    """What a column's values are, whatever the warehouse calls its type.

    A reader hands features over as Arrow arrays: any Arrow integer for INTEGER, float32 and
    float64 for FLOAT32 and FLOAT64, float64 for DECIMAL (cast by the warehouse), bool,
    utf8 for TEXT and OTHER, date32 for DATE, time64[us] for TIME, timestamp[us] for TIMESTAMP
    and timestamp[us, UTC] for TIMESTAMPTZ.
    """

    INTEGER = "integer"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TEXT = "text"
    DATE = "date"
    #: A time of day without a zone; with one it is OTHER, for its instant depends on the date.
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    #: uuid, json, arrays, intervals …: fine as an id or a carried column, never as a feature.
    OTHER = "other"


#: The words by which people ask for a type.
TYPE_WORDS = {
    "integer": LogicalDtype.INTEGER,
    "float": LogicalDtype.FLOAT64,
    "real": LogicalDtype.FLOAT32,
    "float4": LogicalDtype.FLOAT32,
    "decimal": LogicalDtype.DECIMAL,
    "boolean": LogicalDtype.BOOLEAN,
    "text": LogicalDtype.TEXT,
    "date": LogicalDtype.DATE,
    "time": LogicalDtype.TIME,
    "timestamp": LogicalDtype.TIMESTAMP,
    "timestamptz": LogicalDtype.TIMESTAMPTZ,
}


def type_word(dtype: LogicalDtype) -> str:
    """Give the word that asks for a type."""
    return next((word for word, known in TYPE_WORDS.items() if known is dtype), str(dtype))


class Column(Shape):
    """A column as the warehouse's catalogue describes it."""

    name: str
    #: As the warehouse spells it in CREATE TABLE, e.g. ``numeric(10,2)``.
    warehouse_type: str
    dtype: LogicalDtype
    nullable: bool = True
    #: Whether its source calls whole numbers levels: a pandas category, an Arrow dictionary.
    is_category: bool = False


class SourceTable(Shape):
    """A table or view that can be read."""

    name: TableName
    columns: tuple[Column, ...]
    #: The warehouse's own statistic; only a hint for sampling.
    estimated_rows: int = 0
    #: Whether TABLESAMPLE works on it (a plain or partitioned table, not a view).
    can_sample: bool = True

    def column(self, name: str) -> Column | None:
        """Give the column called ``name``, exactly as the catalogue spells it."""
        return next((column for column in self.columns if column.name == name), None)
