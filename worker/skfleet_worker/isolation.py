"""Isolation: a batch that cannot be scored is halved until the rows at fault stand alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pyarrow as pa
import structlog

from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.model.arrays import BoolArray
from skfleet_common.model.scoring import Reject, Scored
from skfleet_common.model.sketch import NO_SKETCHES
from skfleet_common.tables.port import SourceBatch
from skfleet_worker.outcomes import frames_of

T = TypeVar("T")

#: Errors that are no row's fault: ours say so themselves, memory is the process's, files are the host's.
_NOT_OF_ROWS = (SkfleetError, MemoryError, OSError)

log = structlog.get_logger()


def isolate(
    score: Callable[[int, int], T], rows: int, *, most: int, report: Callable[[], None]
) -> tuple[list[tuple[int, T]], dict[int, Exception]]:
    """Score ``rows`` rows, and where ``score(first, stop)`` raises, each half by itself.

    Gives the parts that were scored, each with its first row and in order, and the rows that fail alone.
    A row at fault costs about two attempts a halving. With more than ``most`` of them it ends early, and
    leaves rows in neither: a model that fails on every row is not tried on every row. ``report`` is called
    after each attempt but the first.
    """
    parts: list[tuple[int, T]] = []
    failed: dict[int, Exception] = {}
    pending = [(0, rows)] if rows else []
    while pending and len(failed) <= most:
        first, stop = pending.pop()
        try:
            parts.append((first, score(first, stop)))
        except _NOT_OF_ROWS:
            raise
        except Exception as error:  # noqa: BLE001  (whatever an estimator raises on a row that it cannot take)
            if stop - first <= 1:
                # One traceback is enough; each holds on to the arrays that it went through.
                failed[first] = error.with_traceback(None) if failed else error
            else:
                middle = (first + stop) // 2
                pending += [(middle, stop), (first, middle)]
        if stop - first < rows:
            report()
    return parts, failed


def score_batch(
    score: Callable[[pa.RecordBatch], Scored], batch: SourceBatch, *, most: int, report: Callable[[], None]
) -> Scored:
    """Score a batch as read, and reject the rows that cannot be read or make the model raise.

    After more than ``most`` of the latter it ends early: rows that are neither kept nor rejected are left.
    """
    rows = batch.features.num_rows
    readable: BoolArray = np.ones(rows, dtype=np.bool_)
    readable[list(batch.unreadable)] = False
    features = batch.features.filter(pa.array(readable)) if batch.unreadable else batch.features
    parts, failed = isolate(
        lambda first, stop: score(features.slice(first, stop - first)),
        features.num_rows,
        most=most,
        report=report,
    )
    if failed:
        log.warning("rows.isolated", rows=len(failed), frames=frames_of(next(iter(failed.values()))))
    elif not batch.unreadable:
        return parts[0][1]
    return _joined(batch, np.flatnonzero(readable).tolist(), parts, failed)


def _joined(
    batch: SourceBatch,
    positions: list[int],
    parts: list[tuple[int, Scored]],
    failed: dict[int, Exception],
) -> Scored:
    """Put parts together; ``positions`` are those of the scored rows in the batch."""
    kept: BoolArray = np.zeros(batch.features.num_rows, dtype=np.bool_)
    rejected = [Reject(row, reason, quarantined=True) for row, reason in batch.unreadable.items()]
    for row, error in failed.items():
        reason = f"the model cannot score it ({type(error).__name__})"
        rejected.append(Reject(positions[row], reason, quarantined=True))
    for first, part in parts:
        here = positions[first : first + len(part.kept)]
        kept[here] = part.kept
        rejected += [
            Reject(here[reject.row], reject.reason, quarantined=reject.quarantined)
            for reject in part.rejected
        ]
    outputs = [part.outputs for _, part in parts if part.outputs.num_rows]
    joined = pa.concat_batches(outputs) if outputs else _nothing(parts)
    sketches = sum((part.sketches for _, part in parts), start=NO_SKETCHES)
    return Scored(sorted(rejected, key=lambda reject: reject.row), kept, joined, sketches)


def _nothing(parts: list[tuple[int, Scored]]) -> pa.RecordBatch:
    return parts[0][1].outputs if parts else pa.RecordBatch.from_arrays([], names=[])
