"""Rows that a model's policy rejects: counted, listed with their ids and reasons, and not published."""

from __future__ import annotations

import io
from dataclasses import replace

import pyarrow.parquet as pq
from tests.integration.worker_fleet import Fleet, fit_files

from skfleet_common.contracts.states import JobState


def test_a_rejected_row_is_listed_with_its_id_and_reason_and_the_others_are_published(fleet: Fleet) -> None:
    strict = replace(fleet, files=fit_files(null_policy={"carrier": "reject_row"}))
    strict.register()
    strict.start_worker(batch_rows=300)
    job = strict.submit()
    record = strict.wait(job)
    assert record.state is JobState.SUCCEEDED, record.reason
    without_carrier = [
        row[0] for row in strict.sql("SELECT id FROM flights WHERE carrier IS NULL ORDER BY id")
    ]
    assert record.rows_rejected == len(without_carrier)
    assert record.rows_scored == 4_000 - len(without_carrier)
    assert strict.sql(f"SELECT count(*) FROM {strict.output_table(job)}") == [(record.rows_scored,)]
    listed: list[tuple[str, str]] = []
    for commit in strict.cloud.tracker.commits(job, range(4)):
        assert commit.rejects_key is not None
        table = pq.read_table(io.BytesIO(strict.cloud.store.get(commit.rejects_key)))
        listed += zip(table["id"].to_pylist(), table["reason"].to_pylist(), strict=True)
    assert [int(id_) for id_, _ in listed] == without_carrier
    assert all("carrier" in reason for _, reason in listed)


def test_a_chunk_of_rejected_rows_alone_is_done_and_has_no_output(fleet: Fleet) -> None:
    fleet.sql("CREATE TABLE IF NOT EXISTS unknown_carriers AS SELECT id, miles, NULL AS carrier FROM flights")
    strict = replace(fleet, files=fit_files(null_policy={"carrier": "reject_row"}))
    strict.register()
    strict.start_worker()
    job = strict.submit(table="unknown_carriers")
    record = strict.wait(job)
    assert record.state is JobState.SUCCEEDED, record.reason
    assert (record.rows_scored, record.rows_rejected) == (0, 4_000)
    assert all(commit.output_key is None for commit in strict.cloud.tracker.commits(job, range(4)))
    strict.assert_published(job, rows=0)
