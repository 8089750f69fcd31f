"""Jobs: what was asked for (in S3), where it stands and what became of each chunk (in the tracker)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.file_sources import FileFormat, FilesOutput, FilesSource
from skfleet_common.contracts.names import NAME_PATTERN
from skfleet_common.contracts.shapes import Shape, StoredShape
from skfleet_common.contracts.states import JobState

# All of these become parts of S3 keys, and some of paths on a worker's host: none may hold a slash or a dot.
JobId = Annotated[str, Field(pattern="^[0-9a-z-]{1,64}$")]
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class IfExists(StrEnum):
    """What publishing does when the output table is already there."""

    FAIL = "fail"
    APPEND = "append"
    REPLACE = "replace"


class OnDrift(StrEnum):
    """What becomes of a job whose table has other rows when it is read than when it was planned."""

    FAIL = "fail"
    WARN = "warn"


class OutputColumn(Shape):
    """One column of the output table.

    ``source`` says where a worker takes it from: ``id`` and ``carried`` columns from the
    source table, the others from a model, which says what kind they are (:class:`~.kinds.Kind`).
    """

    name: str
    #: The type as the warehouse spells it in CREATE TABLE.
    warehouse_type: str
    source: str
    nullable: bool = True
    #: Of the job's models, the place of the one that gives it; 0 where there is one.
    model: NonNegativeInt = 0
    #: What that model calls it, where the output table calls it otherwise.
    output: str = ""

    @property
    def is_verbatim(self) -> bool:
        """Whether it is copied from the source."""
        return self.source in {"id", "carried"}

    @property
    def of_model(self) -> str:
        """What its model calls it."""
        return self.output or self.name


class ModelRef(Shape):
    """A bundle by its model's name and the SHA-256 of its manifest.json."""

    name: Name
    digest: Sha256

    def __str__(self) -> str:
        """Give what people call it."""
        return f"{self.name}@{self.digest[:12]}"


class JobSpec(StoredShape):
    """What was asked for. Written once, before the first message, and never changed.

    Version 2 has several models, outputs that are given only when they are asked for, or a limit for drift: a
    worker of version 1 would score with the first model alone, refuse the job, or publish beyond the limit.
    Version 3 reads files or publishes to files; version 4 carries texts of files that may be no values of
    their column's type, which a worker of version 3 would change; version 5 asks a condition of files' rows,
    all of which a worker of version 4 would score. All else is still written as version 1.
    """

    WRITES: ClassVar[int] = 5

    job: JobId
    fleet: Name
    model: Name
    #: SHA-256 of the bundle's manifest.json; the job is pinned to it.
    digest: Sha256
    #: Of files that no table was unloaded into, their address stands for the table's name, without a schema.
    table: TableName
    id_columns: tuple[str, ...]
    #: Empty where files are read.
    split_column: str
    #: The type of the split column as the warehouse spells it; key literals are cast to it.
    split_type: str
    #: A boolean expression re-rendered from its syntax tree, in the warehouse's dialect; of files, in that of
    #: :mod:`skfleet_common.files.condition`.
    where: str | None = None
    output_table: TableName
    if_exists: IfExists = IfExists.FAIL
    output_columns: tuple[OutputColumn, ...]
    created_at: datetime
    rows: NonNegativeInt
    chunks: NonNegativeInt
    on_drift: OnDrift = OnDrift.FAIL
    #: Rows that may be quarantined; what a policy of the model rejects is not counted.
    max_rejects: NonNegativeInt = 0
    #: Whether views that depend on a replaced table are made anew on its successor.
    cascade_views: bool = False
    #: The population stability index that no column may exceed; None only measures it.
    max_drift: NonNegativeFloat | None = None
    #: The models after the first one, which score what was read for it.
    more_models: tuple[ModelRef, ...] = ()
    #: What is read instead of ``table``.
    files: FilesSource | None = None
    #: What is published to instead of ``output_table``, which has its address for a name.
    output_files: FilesOutput | None = None

    @property
    def rows_are_exact(self) -> bool:
        """Whether the planner counted ``rows``; of text files, or under a condition, it estimates them."""
        if self.files is None:
            return True
        return self.files.format is not FileFormat.CSV and self.files_where is None

    @property
    def files_where(self) -> str | None:
        """The condition that files' rows are asked; of an unloaded table, UNLOAD has asked it."""
        return None if self.files is None or self.is_unloaded else self.where

    @property
    def is_unloaded(self) -> bool:
        """Whether a table was unloaded into files for it, which nobody needs once it has ended."""
        return self.files is not None and not self.table.is_address

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """Every model, in the order of ``OutputColumn.model``."""
        return (ModelRef(name=self.model, digest=self.digest), *self.more_models)

    @property
    def model_names(self) -> tuple[str, ...]:
        """What to call each model: its name, and its digest where another has the same name."""
        called = [ref.name for ref in self.models]
        return tuple(ref.name if called.count(ref.name) == 1 else str(ref) for ref in self.models)


class JobRecord(StoredShape):
    """Where a job stands. Lives in the tracker and is changed there by conditional writes alone."""

    job: JobId
    state: JobState = JobState.SUBMITTING
    #: The first run is 1; each retry is the next, with a completion tree over its own chunks.
    run: PositiveInt = 1
    #: When a run after the first began, by the clock of who began it: for display.
    run_started_at: datetime | None = None
    #: How many chunks the present run has; the first run has them all.
    run_chunks: NonNegativeInt
    model: Name
    digest: Sha256
    table: TableName
    output_table: TableName
    rows: NonNegativeInt
    chunks: NonNegativeInt
    created_at: datetime
    #: The submission token under which the same request is the same job.
    token: str
    #: What was asked for, hashed: the same token with another request is a mistake.
    asks: str = ""
    #: One sentence when the job FAILED.
    reason: str | None = None
    rows_scored: int | None = None
    rows_rejected: int | None = None
    finished_at: datetime | None = None
    #: Set when clean-up began to remove what the job left behind: from then on it cannot be retried.
    collected_at: datetime | None = None
    more_models: tuple[ModelRef, ...] = ()
    #: Whether ``rows`` were counted; those of text files are only estimated.
    rows_are_exact: bool = True
    #: How a table is read, ``select`` or ``unload``; None where files are read.
    read: str | None = None
    #: Why, where that was left to skfleet.
    read_why: str | None = None

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """Every model that scores what is read."""
        return (ModelRef(name=self.model, digest=self.digest), *self.more_models)


class CommitOutcome(StrEnum):
    """How a chunk ended."""

    DONE = "done"
    FAILED = "failed"


class Commit(StoredShape):
    """The record that makes one attempt's output the chunk's output. Less than 1 KB."""

    job: JobId
    run: int
    chunk: NonNegativeInt
    outcome: CommitOutcome
    attempt: str
    worker: str
    rows_read: NonNegativeInt = 0
    rows_scored: NonNegativeInt = 0
    rows_rejected: NonNegativeInt = 0
    #: Key of the attempt's Parquet object, and the SHA-256 of its bytes (hex).
    output_key: str | None = None
    output_sha256: str | None = None
    rejects_key: str | None = None
    #: Of ``rows_rejected``, those that no policy of the model asked to reject.
    rows_quarantined: NonNegativeInt = 0
    #: Checksum of the scored rows' values, whatever their order (see model/checksum.py).
    checksum: str | None = None
    #: How often SQS had delivered the message, this attempt included.
    attempts: PositiveInt = 1
    #: One sentence, without row values, when the outcome is failed.
    reason: str | None = None
    #: One sentence on what went wrong in the worker before the attempt succeeded, e.g. out of memory.
    trouble: str | None = None
    seconds_reading: float = 0.0
    seconds_scoring: float = 0.0
    seconds_writing: float = 0.0
