"""Quarantine: the rejected rows that no policy foresaw, counted against what the job allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.file_sources import FileFormat
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobSpec
from skfleet_common.model.refusals import counted
from skfleet_worker.outcomes import TooManyQuarantined

if TYPE_CHECKING:
    import pyarrow as pa

    from skfleet_common.files.row_numbers import SliceNumbers

#: Rows, and chunks, that a job's reason names. A chunk that has too many is searched for so many at least.
NAMED_AT_MOST = 10
#: Characters of an id that a job's reason shows.
_ID_CHARACTERS = 60


@dataclass
class Quarantine:
    """The quarantined rows of one chunk so far."""

    #: How many the whole job may have.
    most: int
    rows: int = 0

    @property
    def is_over(self) -> bool:
        """Whether this chunk alone has more than the job may have."""
        return self.rows > self.most

    @property
    def is_named(self) -> bool:
        """Whether there are too many, and enough of them are known to say which."""
        return self.is_over and self.rows >= NAMED_AT_MOST

    @property
    def left(self) -> int:
        """How many more are looked for: the next one after them is the last."""
        return max(0, max(self.most, NAMED_AT_MOST - 1) - self.rows)

    def take(self, rejected: pa.RecordBatch) -> None:
        """Count the quarantined among rows as :func:`~skfleet_worker.output.rejected_rows` gives them."""
        self.rows += len(quarantined_ids(rejected))


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
    cloud: Cloud, spec: JobSpec, commits: Iterable[Commit], *, numbers: SliceNumbers | None = None
) -> TooManyQuarantined:
    """Say how many rows of a job were quarantined and where, and name the first of them."""
    having = [commit for commit in commits if commit.rows_quarantined]
    by_chunk = [(commit.chunk, commit.rows_quarantined) for commit in having]
    rows = sum(count for _, count in by_chunk)
    # What a chunk has that failed was not looked for any further than this.
    more = any(it.outcome is CommitOutcome.FAILED and it.rows_quarantined >= NAMED_AT_MOST for it in having)
    first = _first_named(cloud, having, numbers)
    chunks = ", ".join(f"chunk {chunk} ({counted(count)})" for chunk, count in by_chunk[:NAMED_AT_MOST])
    others = len(by_chunk) - NAMED_AT_MOST
    chunks += f" and {others} more chunks" if others > 0 else ""
    # Of the rows of text files, none are left out.
    is_text = spec.files is not None and spec.files.format is FileFormat.CSV
    return TooManyQuarantined(
        f"{'At least ' if more else ''}{counted(rows)} cannot be read or scored, and --max-rejects allows "
        f"{spec.max_rejects:,}: {chunks}. List them with skfleet rejects {spec.job}; mend them, "
        f"{'' if is_text else 'leave them out with --where, '}or submit again with a higher --max-rejects.",
        naming=f"The first: {'; '.join(first)}." if first else "",
    )


def too_many_in_chunk(rows: int, *, most: int) -> str:
    """Say of one chunk alone that it has too many, for its commit, which names no rows."""
    more = "At least " if rows >= NAMED_AT_MOST else ""
    return f"{more}{counted(rows)} cannot be read or scored; --max-rejects allows {most:,} in the whole job."


def _first_named(cloud: Cloud, commits: Sequence[Commit], numbers: SliceNumbers | None) -> list[str]:
    # Not for the supervisor, who needs it only when a dead letter happens to end a run.
    import pyarrow.parquet as pq  # noqa: PLC0415

    first: list[str] = []
    for commit in commits:
        if len(first) >= NAMED_AT_MOST:
            break
        if commit.rejects_key is None:
            continue
        try:
            rejected = pq.read_table(BytesIO(cloud.store.get(commit.rejects_key)))
        except NoSuchObject:
            # Somebody deleted the list; the counts stand.
            continue
        if numbers is not None:
            rejected = numbers.of_rejects(commit.chunk, rejected)
        first += quarantined_ids(rejected)[: NAMED_AT_MOST - len(first)]
    return first


def _short(value: str | None) -> str:
    text = str(value)
    return text if len(text) <= _ID_CHARACTERS else text[:_ID_CHARACTERS] + "…"
