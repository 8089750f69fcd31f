"""How large a chunk should be, and how long a job may take: arithmetic alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: One chunk is this much work for one scoring process: long enough that SQS, S3 and the tracker cost
#: nothing beside it, short enough that a lost worker loses little.
TARGET_SECONDS = 90.0

#: So that the last chunks of a job do not leave most of the fleet idle.
CHUNKS_A_SCORER = 4

#: Below this, a chunk's fixed costs (two requests, one query, one object) are what is paid for.
MIN_CHUNK_ROWS = 10_000

#: What reading, writing and waiting take of a scorer's time beside the model, by measurement on the
#: flights table: a scorer passes about half the rows a second that the model alone does.
PIPELINE_SHARE = 0.5


def rows_per_second_of(models: Sequence[float]) -> float:
    """Give the rows a second of models that score the same rows in turn; 0 where one's speed is not known."""
    return 1.0 / sum(1.0 / speed for speed in models) if all(models) else 0.0


def choose_chunk_rows(rows: int, *, rows_per_second: float, scorers: int) -> int:
    """Give the rows of a chunk for a table of ``rows`` on ``scorers`` processes (at least one)."""
    by_time = (
        math.ceil(TARGET_SECONDS * rows_per_second * PIPELINE_SHARE)
        if rows_per_second
        else MIN_CHUNK_ROWS * 10
    )
    by_fleet = math.ceil(rows / (CHUNKS_A_SCORER * max(1, scorers)))
    return max(MIN_CHUNK_ROWS, min(by_time, by_fleet))


def estimate_seconds(rows: int, *, rows_per_second: float, scorers: int, chunks: int) -> float | None:
    """Give about how long scoring takes; None when the model's speed is not known."""
    if not rows_per_second:
        return None
    busy = min(max(1, scorers), max(1, chunks))
    return rows / (rows_per_second * PIPELINE_SHARE * busy)
