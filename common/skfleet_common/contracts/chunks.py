"""Chunks: how a source is cut into units of work, each with the row count that it must have."""

from __future__ import annotations

import operator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, model_validator

from skfleet_common.contracts.shapes import Shape, StoredShape
from skfleet_common.contracts.slices import ObjectSlice

#: Commits and outputs are keyed by a chunk's number in seven digits, whose order is the chunks'.
MAX_CHUNKS = 10_000_000
#: What a warehouse counts rows in.
MAX_ROWS = 2**63 - 1

ChunkNumber = Annotated[NonNegativeInt, Field(lt=MAX_CHUNKS)]


class TableName(Shape):
    """A table's schema and name, as the catalogue spells them (never quoted, never folded)."""

    schema_name: str
    name: str

    @property
    def is_address(self) -> bool:
        """Whether it stands for files: an address on S3 is no table's name."""
        return not self.schema_name and self.name.startswith("s3://")

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
    #: A key too heavy for a chunk is cut by the hash, from 0 to 2**32, of other columns of its rows: of the
    #: rows of ``first``, those from ``first_hash`` on; of those of ``stop``, those below ``stop_hash``. Of
    #: rows without a key both count, and a ``stop_hash`` of 0 is no end.
    hash_columns: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)
    first_hash: NonNegativeInt = Field(default=0, exclude_if=operator.not_)
    stop_hash: NonNegativeInt = Field(default=0, exclude_if=operator.not_)


class Chunk(Shape):
    """One unit of work."""

    number: ChunkNumber
    range: Annotated[IdRange | ObjectSlice, Field(discriminator="kind")]
    #: Rows that the planner counted in the range, or estimated: see ``rows_are_exact``. Where a condition is
    #: asked of files' rows, the most that there may be.
    rows: NonNegativeInt = Field(le=MAX_ROWS)

    @property
    def rows_are_exact(self) -> bool:
        """Whether the planner counted ``rows``; of text files, or under a condition, it estimates them."""
        return isinstance(self.range, IdRange) or self.range.rows_are_known

    @property
    def is_filtered(self) -> bool:
        """Whether ``rows`` are the most that a condition may let through."""
        return isinstance(self.range, ObjectSlice) and self.range.is_filtered

    def is_as_planned(self, rows: int) -> bool:
        """Whether so many rows may be read for it."""
        return rows == self.rows or not (self.rows_are_exact or (self.is_filtered and rows > self.rows))

    @property
    def is_newer(self) -> bool:
        """Whether a reader of version 1 would not know the chunk, or read other rows for it."""
        return isinstance(self.range, ObjectSlice) or bool(self.range.hash_columns)

    @property
    def id_range(self) -> IdRange:
        """The range of a chunk of a table."""
        if not isinstance(self.range, IdRange):
            raise TypeError("the chunk is cut from files")
        return self.range


class ChunkPlan(StoredShape):
    """All chunks of a job, in key order; the NULL chunk, if any, is last.

    Version 2 has chunks of files, or such as begin or end within a key, which readers of version 1 do not
    know. In version 3, rows of Parquet files may be the most that a condition lets through.
    """

    WRITES: ClassVar[int] = 3

    chunks: tuple[Chunk, ...]

    @model_validator(mode="before")
    @classmethod
    def _is_newer(cls, given: Any) -> Any:
        chunks = given.get("chunks", ()) if isinstance(given, dict) and "schema_version" not in given else ()
        own = [chunk for chunk in chunks if isinstance(chunk, Chunk)]
        if any(chunk.is_filtered for chunk in own):
            return given | {"schema_version": 3}
        return given | {"schema_version": 2} if any(chunk.is_newer for chunk in own) else given

    @property
    def rows(self) -> int:
        """Rows that the planner counted in all chunks, or estimated."""
        return sum(chunk.rows for chunk in self.chunks)

    @property
    def rows_are_exact(self) -> bool:
        """Whether the planner counted the rows of every chunk."""
        return all(chunk.rows_are_exact for chunk in self.chunks)
