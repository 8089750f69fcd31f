"""Chunks: how a table is cut into units of work, each with the row count that it must have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from skfleet_common.contracts.shapes import Shape, StoredShape

#: Commits and outputs are keyed by a chunk's number in seven digits, whose order is the chunks'.
MAX_CHUNKS = 10_000_000
#: What a warehouse counts rows in.
MAX_ROWS = 2**63 - 1

ChunkNumber = Annotated[NonNegativeInt, Field(lt=MAX_CHUNKS)]


class TableName(Shape):
    """A table's schema and name, as the catalogue spells them (never quoted, never folded)."""

    schema_name: str
    name: str

    def __str__(self) -> str:
        """Give ``schema.name`` for messages to people; SQL quotes the parts by itself.

        What a query selects has no schema.
        """
        return f"{self.schema_name}.{self.name}" if self.schema_name else self.name


class IdRange(Shape):
    """The rows whose split key lies in ``[first, stop)``, or is NULL.

    Keys are written as the warehouse prints them, and compared by the warehouse alone.
    """

    kind: Literal["id_range"] = "id_range"
    first: str | None = None
    stop: str | None = None
    #: The last range of a plan ends at the largest planned key itself, which has no successor in general.
    stop_included: bool = False
    #: The chunk of the rows without a split key; ``first`` and ``stop`` are None then.
    nulls: bool = False


class Chunk(Shape):
    """One unit of work."""

    number: ChunkNumber
    range: IdRange
    #: Rows that the planner counted in the range.
    rows: NonNegativeInt = Field(le=MAX_ROWS)


class ChunkPlan(StoredShape):
    """All chunks of a job, in key order; the NULL chunk, if any, is last."""

    chunks: tuple[Chunk, ...]

    @property
    def rows(self) -> int:
        """Rows that the planner counted in all chunks."""
        return sum(chunk.rows for chunk in self.chunks)
