"""Certificates: what a published job is known to have done, by its commits and by the warehouse."""

from __future__ import annotations

from datetime import datetime

from pydantic import NonNegativeInt, PositiveInt, computed_field

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.jobs import JobId, ModelRef, Name, Sha256
from skfleet_common.contracts.shapes import Shape, StoredShape
from skfleet_common.contracts.shifts import Shift


class ChunkDrift(Shape):
    """A chunk that had other rows when it was read than when it was planned."""

    chunk: NonNegativeInt
    rows_planned: NonNegativeInt
    rows_read: NonNegativeInt


class Certificate(StoredShape):
    """The reconciliation of a job: planned, read, scored, rejected and published rows.

    Written to ``jobs/<job>/certificate.json`` after the publication and before the job is SUCCEEDED.
    """

    job: JobId
    run: PositiveInt
    model: Name
    digest: Sha256
    table: TableName
    output_table: TableName
    chunks: NonNegativeInt
    chunks_committed: NonNegativeInt
    rows_planned: NonNegativeInt
    rows_read: NonNegativeInt
    rows_scored: NonNegativeInt
    rows_rejected: NonNegativeInt
    #: Of the rejected, those that no policy of the model asked to reject.
    rows_quarantined: NonNegativeInt = 0
    rows_published: NonNegativeInt
    #: Whether no two published rows of the job have the same ids; counted in the warehouse.
    ids_unique: bool
    #: Checksum of the published rows' values, whatever their order and chunks (see model/checksum.py).
    checksum: str
    drift: tuple[ChunkDrift, ...] = ()
    #: How far the rows are from the training rows; None if a publisher of an earlier version wrote it.
    shift: Shift | None = None
    certified_at: datetime
    #: The models after the first one.
    more_models: tuple[ModelRef, ...] = ()
    #: Whether ``rows_planned`` were counted. Those of text files are only estimated: nothing drifts from them.
    rows_are_exact: bool = True
    #: What the planned slices of text files hold together, which is what the files hold; 0 of other sources.
    bytes_planned: NonNegativeInt = 0

    @property
    def rows_drifted(self) -> int:
        """By how many rows the chunks differ from the plan, those that came and those that went."""
        return sum(abs(chunk.rows_read - chunk.rows_planned) for chunk in self.drift)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property (pydantic's documentation)
    @property
    def adds_up(self) -> bool:
        """Whether every row is accounted for."""
        return (
            self.chunks == self.chunks_committed
            and self.rows_read == self.rows_scored + self.rows_rejected
            and self.rows_published == self.rows_scored
            and self.ids_unique
        )
