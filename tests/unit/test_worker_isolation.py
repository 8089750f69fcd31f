"""Isolation finds exactly the rows at fault, whichever they are, and gives up when there are too many."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from skfleet_common.contracts.errors import Refused
from skfleet_common.model.scoring import Reject, Scored
from skfleet_common.tables.port import SourceBatch
from skfleet_worker.isolation import isolate, score_batch

SIZES = st.integers(1, 80)


def nobody() -> None:
    """Nobody listens."""


@given(SIZES, st.data())
def test_any_set_of_rows_at_fault_is_found_and_every_other_row_scored_once_and_in_order(
    rows: int, data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.integers(0, rows - 1)))
    attempts = 0

    def score(first: int, stop: int) -> list[int]:
        nonlocal attempts
        attempts += 1
        if bad & set(range(first, stop)):
            raise ValueError
        return list(range(first, stop))

    parts, failed = isolate(score, rows, most=len(bad), report=nobody)
    assert set(failed) == bad
    assert [row for _, part in parts for row in part] == [row for row in range(rows) if row not in bad]
    assert all(first == part[0] for first, part in parts)
    assert attempts <= 1 + 2 * len(bad) * np.ceil(np.log2(rows) if rows > 1 else 0)


@given(SIZES, st.integers(0, 10))
def test_a_model_that_fails_on_every_row_is_not_tried_on_every_row(rows: int, most: int) -> None:
    attempts = 0

    def score(_first: int, _stop: int) -> None:
        nonlocal attempts
        attempts += 1
        raise ValueError

    parts, failed = isolate(score, rows, most=most, report=nobody)
    assert not parts
    assert list(failed) == list(range(min(rows, most + 1)))
    assert attempts <= 1 + 2 * (most + 1) * np.ceil(np.log2(rows) if rows > 1 else 0)


def test_every_attempt_after_the_first_is_reported() -> None:
    reports: list[None] = []

    def score(first: int, stop: int) -> None:
        if first <= 5 < stop:
            raise ValueError

    isolate(lambda _first, _stop: None, 8, most=0, report=lambda: reports.append(None))
    assert not reports
    isolate(score, 8, most=1, report=lambda: reports.append(None))
    assert len(reports) == 2 * 3


@pytest.mark.parametrize(
    "error", [Refused("The model refuses."), MemoryError(), OSError(), KeyboardInterrupt()]
)
def test_an_error_that_is_no_rows_fault_is_raised_at_once(error: BaseException) -> None:
    calls = 0

    def score(_first: int, _stop: int) -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(type(error)):
        isolate(score, 1_000, most=5, report=nobody)
    assert calls == 1


def scored(features: pa.RecordBatch) -> Scored:
    """Give twice the feature; odd ones are rejected by policy, negative ones make the model raise."""
    values = features.column("x").to_numpy()
    if (values < 0).any():
        raise FloatingPointError(str(values))
    kept = values % 2 == 0
    rejected = [Reject(int(row), "x is odd") for row in np.flatnonzero(~kept)]
    outputs = pa.RecordBatch.from_arrays([pa.array(values[kept] * 2)], names=["prediction"])
    return Scored(rejected, kept, outputs)


@given(st.lists(st.integers(-2, 9), min_size=1, max_size=40), st.data())
def test_a_batch_is_scored_as_if_rows_that_cannot_be_were_never_there(
    values: list[int], data: st.DataObject
) -> None:
    dark = data.draw(st.sets(st.integers(0, len(values) - 1)))
    batch = SourceBatch(
        features=pa.RecordBatch.from_arrays([pa.array(values, pa.int64())], names=["x"]),
        verbatim=pa.RecordBatch.from_arrays([pa.array([str(v) for v in values])], names=["id"]),
        unreadable=dict.fromkeys(dark, "x is infinite"),
    )
    got = score_batch(scored, batch, most=len(values), report=nobody)
    expected = []
    for row, value in enumerate(values):
        if row in dark:
            expected.append(Reject(row, "x is infinite", quarantined=True))
        elif value < 0:
            reason = "the model cannot score it (FloatingPointError)"
            expected.append(Reject(row, reason, quarantined=True))
        elif value % 2:
            expected.append(Reject(row, "x is odd"))
    assert got.rejected == expected
    assert got.kept.tolist() == [row not in {reject.row for reject in expected} for row in range(len(values))]
    doubled = [2 * value for row, value in enumerate(values) if got.kept[row]]
    assert got.outputs.num_rows == len(doubled)
    assert not doubled or got.outputs.column("prediction").to_pylist() == doubled


def test_the_log_says_where_the_model_failed_and_not_on_what() -> None:
    batch = SourceBatch(
        features=pa.RecordBatch.from_arrays([pa.array([0, -77, 2, -99])], names=["x"]),
        verbatim=pa.RecordBatch.from_arrays([pa.array(["a", "b", "c", "d"])], names=["id"]),
    )
    with capture_logs() as logs:
        score_batch(scored, batch, most=5, report=nobody)
    (said,) = logs
    assert (said["event"], said["rows"]) == ("rows.isolated", 2)
    assert any("test_worker_isolation" in frame for frame in said["frames"])
    assert "77" not in str(said["frames"][0])
