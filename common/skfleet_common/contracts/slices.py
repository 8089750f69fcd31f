"""Slices: parts of objects on S3 that are one chunk's work."""

from __future__ import annotations

import operator
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from skfleet_common.contracts.shapes import Shape


class ByteRange(Shape):
    """The bytes ``[first, stop)`` of a text file: whole records. The header is within the first range.

    A compressed file, or one that cannot be cut, is one range; its bytes are counted as they are stored.
    """

    kind: Literal["bytes"] = "bytes"
    first: NonNegativeInt
    stop: NonNegativeInt


class RowGroups(Shape):
    """The row groups ``[first, stop)`` of a Parquet file."""

    kind: Literal["row_groups"] = "row_groups"
    first: NonNegativeInt
    stop: NonNegativeInt
    #: Rows of the file before them.
    rows_before: NonNegativeInt = 0
    #: Whether a condition is asked of their rows: row groups that hold none that it lets through may be left
    #: out before and behind them.
    is_filtered: bool = Field(default=False, exclude_if=operator.not_)


class ObjectPart(Shape):
    """Rows of one object, which must still be the one that was planned."""

    #: ``s3://bucket/key``, the key as S3 has it: nothing in it is escaped.
    uri: str
    #: As S3 writes it, in double quotes; every read demands it.
    etag: str
    size_bytes: NonNegativeInt
    span: Annotated[ByteRange | RowGroups, Field(discriminator="kind")]

    @property
    def is_first(self) -> bool:
        """Whether the object begins with it, so that its rows are numbered from 1 on."""
        return self.span.first == 0


class ObjectSlice(Shape):
    """Parts of one or several objects, read one after the other.

    A part of an object that does not begin with it is alone in its slice if its rows are not numbered: so
    the rows before it are those of earlier chunks.
    """

    kind: Literal["object_slice"] = "object_slice"
    parts: tuple[ObjectPart, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_numbered(self) -> Self:
        late = [part for part in self.parts if isinstance(part.span, ByteRange) and not part.is_first]
        if late and len(self.parts) > 1:
            raise ValueError("a later part of a text file is not alone")
        return self

    @property
    def rows_are_known(self) -> bool:
        """Whether files themselves say how many rows are read; text files do not."""
        return all(isinstance(part.span, RowGroups) and not part.span.is_filtered for part in self.parts)

    @property
    def is_filtered(self) -> bool:
        """Whether a condition is asked of its rows, so that their number is the most that are read."""
        return any(isinstance(part.span, RowGroups) and part.span.is_filtered for part in self.parts)
