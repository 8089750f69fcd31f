"""Clues: what can still be told of a message that nobody can read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, PositiveInt, TypeAdapter, ValidationError
from pydantic import NonNegativeInt as Count

from skfleet_common.contracts.jobs import JobId

#: Numbers of chunks have seven digits in keys.
_MOST = 9_999_999
_JOB: TypeAdapter[str] = TypeAdapter(JobId)
_RUN: TypeAdapter[int] = TypeAdapter(Annotated[PositiveInt, Field(strict=True, le=_MOST)])
_CHUNK: TypeAdapter[int] = TypeAdapter(Annotated[Count, Field(strict=True, le=_MOST)])


@dataclass(frozen=True)
class Clue:
    """The job that a body names, and what else of it is sound."""

    job: str
    run: int | None = None
    chunk: int | None = None
    is_publish: bool = False


def clue_in(body: str) -> Clue | None:
    """Give what a body names, or None if it is no JSON object or names no job as jobs are named."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict):
        return None
    job = _sound(_JOB, given.get("job"))
    if job is None:
        return None
    chunk = given.get("chunk")
    return Clue(
        job=job,
        run=_sound(_RUN, given.get("run")),
        chunk=_sound(_CHUNK, chunk.get("number") if isinstance(chunk, dict) else chunk),
        is_publish=given.get("kind") == "publish",
    )


def _sound(kind: TypeAdapter[Any], value: object) -> Any:
    try:
        return kind.validate_python(value)
    except ValidationError:
        return None
