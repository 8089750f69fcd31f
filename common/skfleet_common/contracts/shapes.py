"""The base of every stored shape: frozen, versioned, and readable by the next version.

A shape that is written down (message, plan, job spec, commit, manifest) carries its own
``schema_version``. A reader ignores fields that it does not know, so that an older worker
reads what a newer minor version wrote; a higher ``schema_version`` is refused by name.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skfleet_common.contracts.errors import SkfleetError

#: No version will ever need seven digits, but damage may write three thousand.
SchemaVersion = Annotated[int, Field(ge=1, lt=1_000_000)]


class UnreadableShape(SkfleetError):
    """A stored object is not what its name says. The operator looks at who wrote it."""


class NewerShape(SkfleetError):
    """A stored object was written by a newer skfleet. The operator updates this one."""


class Shape(BaseModel):
    """An immutable value that is never stored by itself."""

    #: NaN and infinity are no JSON: what was read with them could not be written.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class StoredShape(Shape):
    """An immutable value that is stored as JSON with its schema version."""

    #: The version that this code writes, and the highest that it reads.
    WRITES: ClassVar[int] = 1

    schema_version: SchemaVersion = 1

    def to_json(self) -> bytes:
        """Give the compact JSON that is stored."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, raw: bytes | str) -> Self:
        """Read what :meth:`to_json` of this or an earlier version wrote.

        Raises:
            NewerShape: ``schema_version`` is higher than this code knows.
            UnreadableShape: ``raw`` is not such an object.
        """
        try:
            version = _VersionOnly.model_validate_json(raw).schema_version
        except ValidationError as exc:
            raise UnreadableShape(f"This is no {cls.__name__}: {_first_problem(exc)}.") from exc
        if version > cls.WRITES:
            raise NewerShape(
                f"This {cls.__name__} has schema version {version}, but this skfleet reads up to "
                f"{cls.WRITES}; update skfleet here."
            )
        try:
            return cls.model_validate_json(raw)
        except ValidationError as exc:
            raise UnreadableShape(f"This is no {cls.__name__}: {_first_problem(exc)}.") from exc


class _VersionOnly(BaseModel):
    model_config = ConfigDict(extra="ignore")
    schema_version: SchemaVersion


def _first_problem(exc: ValidationError) -> str:
    """Say what was wrong without the value, which may be a row's."""
    problem = exc.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(_name(part) for part in problem["loc"]) or "the whole"
    # This one alone repeats what it was given, in the sentence itself.
    said = "is of no known kind" if problem["type"] == "union_tag_invalid" else problem["msg"].lower()
    return f"{where}: {said}"


def _name(part: str | int) -> str:
    """Give a field's name or a position; a mapping's key may be anything, and is not repeated."""
    return str(part) if isinstance(part, int) or re.fullmatch("[a-z_]{1,40}", part) else "…"
