"""Quarantine: the rejected rows that no policy foresaw, counted against what the job allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from skfleet_common.aws.session import Cloud
from skfleet_common.model.refusals import counted
from skfleet_worker.outcomes import TooManyQuarantined

#: Rows, and chunks, that a job's reason names.
NAMED_AT_MOST = 10
#: Characters of an id that a job's reason shows.
_ID_CHARACTERS = 60


@dataclass
class Quarantine:
    """The quarantined rows of one chunk so far."""

    #: How many the whole job may have.
    most: int
    rows: int = 0
    #: The first of them, as people may read them.
    first: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether this chunk alone has more than the job may have."""
        return self.rows > self.most

    @property
    def left(self) -> int:
        """How many more there may be; 0 when there are too many."""
        return max(0, self.most - self.rows)

    def take(self, rejected: pa.RecordBatch) -> None:
        """Count the quarantined among rows as :func:`~skfleet_worker.output.rejected_rows` gives them."""
        named = quarantined_ids(rejected)
        self.rows += len(named)
        self.first += named[: NAMED_AT_MOST - len(self.first)]


def quarantined_ids(rejected: pa.RecordBatch | pa.Table) -> list[str]:
    """Give the ids of the quarantined among rejected rows, with their reasons, as people may read them.

    The last two columns are the reason and whether the row was quarantined; those before are the ids.
    """
    *names, reason, flag = rejected.schema.names
    found = rejected.filter(rejected.column(flag))
    ids = zip(*(found.column(name).to_pylist() for name in names), strict=True)
    return [
        ", ".join(f"{name}={_short(value)}" for name, value in zip(names, values, strict=True)) + f" ({why})"
        for values, why in zip(ids, found.column(reason).to_pylist(), strict=True)
    ]


def too_many(
    by_chunk: Sequence[tuple[int, int]], *, most: int, first: Iterable[str], where: str, more: bool = False
) -> TooManyQuarantined:
    """Say what was quarantined where: ``by_chunk`` has chunks and their rows, ``first`` names some.

    ``more``: not all rows were looked at.
    """
    rows = sum(count for _, count in by_chunk)
    chunks = ", ".join(f"chunk {chunk} ({counted(count)})" for chunk, count in by_chunk[:NAMED_AT_MOST])
    others = len(by_chunk) - NAMED_AT_MOST
    chunks += f" and {others} more chunks" if others > 0 else ""
    return TooManyQuarantined(
        f"{'At least ' if more else ''}{counted(rows)} cannot be read or scored, and --max-rejects allows "
        f"{most:,}: {chunks}. They are listed below {where}; mend them, leave them out with --where, or "
        "submit again with a higher --max-rejects.",
        naming=f"The first: {'; '.join(first)}.",
    )


def rejects_address(cloud: Cloud, job: str) -> str:
    """Give where a person finds the job's rejected rows."""
    return f"s3://{cloud.store.bucket}/{cloud.names.job_prefix(job)}rejects/"


def _short(value: str | None) -> str:
    text = str(value)
    return text if len(text) <= _ID_CHARACTERS else text[:_ID_CHARACTERS] + "…"
