"""Messages: what travels on SQS. JSON, versioned, under 6 KB so that ten fit one billed request."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError, model_validator

from skfleet_common.contracts.chunks import MAX_CHUNKS, Chunk, ChunkNumber
from skfleet_common.contracts.errors import NewerMessage, UnreadableMessage
from skfleet_common.contracts.jobs import JobId
from skfleet_common.contracts.shapes import SchemaVersion, Shape, StoredShape

#: The highest message version that this code reads. Chunks of files, or cut within a key, are of version 2,
#: all else is of 1.
MESSAGE_VERSION = 2

#: Ten messages of this size fit the 64 KB that SQS bills as one request (SQS pricing page).
MAX_MESSAGE_BYTES = 6 * 1024

#: No job is retried so often; DynamoDB would not take a number of more than 38 digits.
MAX_RUN = 1_000_000

#: A publication that waits for hours is counted no further; a number of forty digits no table would take.
MAX_FAILURES = 1_000

Run = Annotated[PositiveInt, Field(le=MAX_RUN)]
Failures = Annotated[NonNegativeInt, Field(le=MAX_FAILURES)]


class ChunkMessage(StoredShape):
    """Score one chunk of a job.

    Version 2 is of a chunk of files, or of one that begins or ends within a key: a worker of version 1 leaves
    it to another.
    """

    WRITES: ClassVar[int] = 2

    kind: Literal["chunk"] = "chunk"
    job: JobId
    #: The run that the message belongs to; a retry is a new run.
    run: Run
    #: The chunk's position in the run's completion tree, and how many chunks the run has.
    position: ChunkNumber
    run_chunks: PositiveInt = Field(le=MAX_CHUNKS)
    chunk: Chunk
    #: Attempts that failed before this message was sent in place of an earlier one.
    failures: Failures = 0
    #: Attempts that something around the chunk ended: a full disk, a database that restarts, throttling.
    setbacks: Failures = 0

    @model_validator(mode="before")
    @classmethod
    def _is_newer(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "schema_version" in given:
            return given
        chunk = given.get("chunk")
        newer = isinstance(chunk, Chunk) and chunk.is_newer
        return given | {"schema_version": cls.WRITES} if newer else given

    @model_validator(mode="after")
    def _position_is_in_the_run(self) -> Self:
        if self.position >= self.run_chunks:
            raise ValueError("the position is none of the run's")
        return self


class PublishMessage(StoredShape):
    """Publish a job all of whose chunks are committed."""

    kind: Literal["publish"] = "publish"
    job: JobId
    run: Run
    failures: Failures = 0


Message = Annotated[ChunkMessage | PublishMessage, Field(discriminator="kind")]
_MESSAGE: TypeAdapter[ChunkMessage | PublishMessage] = TypeAdapter(Message)


class _Head(Shape):
    schema_version: SchemaVersion


def encode(message: ChunkMessage | PublishMessage) -> str:
    """Give the message's body, in ASCII: SQS refuses some characters that a text key may hold (U+FFFF)."""
    return message.model_dump_json(ensure_ascii=True)


def with_counts(body: str, **counts: int) -> str:
    """Give a readable body with another count of failures or setbacks; what a newer version added stays."""
    bounded = {name: min(count, MAX_FAILURES) for name, count in counts.items()}
    try:
        return _changed(json.loads(body), **bounded)
    except ValueError:
        # What was added holds a number that is none for JSON once read: then it is left out.
        return encode(decode(body).model_copy(update=bounded))


def renewed(body: str, *, at_most: int) -> str | None:
    """Give a body of any version that counts how often it was sent afresh; None if that was often enough."""
    try:
        given = json.loads(body)
        count = given.get("renewals", 0)
        return _changed(given, renewals=count + 1) if isinstance(count, int) and count < at_most else None
    except ValueError:
        return None


def _changed(given: dict[str, Any], **fields: int) -> str:
    return json.dumps(given | fields, separators=(",", ":"), allow_nan=False)


def decode(body: str) -> ChunkMessage | PublishMessage:
    """Read a message's body.

    Raises:
        NewerMessage: written by a newer skfleet; to be released, not dead-lettered.
        UnreadableMessage: written by nobody we know.
    """
    try:
        version = _Head.model_validate_json(body).schema_version
    except ValidationError as exc:
        raise UnreadableMessage("A message carries no readable schema_version.") from exc
    if version > MESSAGE_VERSION:
        raise NewerMessage(
            f"A message has schema version {version}, but this worker reads up to {MESSAGE_VERSION}; "
            "update the worker."
        )
    try:
        return _MESSAGE.validate_json(body)
    except ValidationError as exc:
        raise UnreadableMessage("A message is of no kind that this worker knows.") from exc
