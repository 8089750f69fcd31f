"""Rows that are rejected, by policy or because they cannot be scored: counted, listed and not published."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.integration.worker_fleet import COLUMNS, MODEL, Fleet, fit_files

from skfleet.job import find_job
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.jobs import CommitOutcome, OutputColumn
from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.contracts.states import JobState
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.bundle import pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import fit_model
from skfleet_worker.attempt import carry_out
from skfleet_worker.bench import Workbench
from skfleet_worker.protocol import Assignment


def test_a_rejected_row_is_listed_with_its_id_and_reason_and_the_others_are_published(fleet: Fleet) -> None:
    strict = replace(fleet, files=fit_files(null_policy={"carrier": "reject_row"}))
    strict.register()
    job = strict.submit()
    assert find_job(strict.cloud, job).certificate() is None
    assert find_job(strict.cloud, job).status().certificate is None
    strict.start_worker(batch_rows=300)
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
    certificate = find_job(strict.cloud, job).certificate()
    assert certificate is not None
    assert (certificate.chunks, certificate.chunks_committed) == (4, 4)
    assert (certificate.rows_planned, certificate.rows_read, certificate.drift) == (4_000, 4_000, ())
    # What a policy asked for is no quarantine, and needs no --max-rejects.
    assert (certificate.rows_rejected, certificate.rows_quarantined) == (len(without_carrier), 0)
    assert certificate.rows_scored == certificate.rows_published == 4_000 - len(without_carrier)
    assert certificate.ids_unique
    assert certificate.adds_up
    assert find_job(strict.cloud, job).status().certificate == certificate


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
    # So the list of rejects has its sketch.
    shift = find_job(strict.cloud, job).status().shift
    assert shift is not None
    (column,) = shift.columns
    assert (shift.rows, column.column, column.most.scored) == (0, "rejected rows", 1.0)


def rejects_of(job: str, fleet: Fleet) -> list[dict[str, object]]:
    """Give what the job's files of rejects hold."""
    prefix = f"{fleet.cloud.names.job_prefix(job)}rejects/"
    tables = [
        pq.read_table(io.BytesIO(fleet.cloud.store.get(key))) for key in fleet.cloud.store.list_keys(prefix)
    ]
    return [row for table in tables for row in table.to_pylist()]


def make_spoiled(fleet: Fleet, *, infinite: str) -> None:
    fleet.sql("DROP TABLE IF EXISTS spoiled")
    fleet.sql(
        "CREATE TABLE spoiled AS SELECT id, carrier,"
        f" CASE WHEN {infinite} THEN 'Infinity'::float8 ELSE miles END AS miles FROM flights WHERE id <= 900"
    )


def test_rows_that_cannot_be_scored_are_set_aside_up_to_the_limit(standing_fleet: Fleet) -> None:
    fleet = standing_fleet
    make_spoiled(fleet, infinite="id % 200 = 1")
    asked = {"rows": 900, "chunk_rows": 300, "table": "spoiled"}
    jobs = [fleet.submit(**asked, max_rejects=limit) for limit in (5, 4)]  # type: ignore[arg-type]
    enough, too_few = [fleet.wait(job) for job in jobs]
    assert enough.state is JobState.SUCCEEDED, enough.reason
    assert (enough.rows_scored, enough.rows_rejected) == (895, 5)
    reason = "miles is infinite or too large"
    assert sorted(rejects_of(jobs[0], fleet), key=lambda row: int(str(row["id"]))) == [
        {"id": str(number), "reason": reason, "quarantined": True} for number in (1, 201, 401, 601, 801)
    ]
    certificate = find_job(fleet.cloud, jobs[0]).certificate()
    assert certificate is not None
    assert (certificate.rows_quarantined, certificate.rows_rejected) == (5, 5)
    assert fleet.sql(f"SELECT count(*) FROM {fleet.output_table(jobs[0])} WHERE id % 200 = 1") == [(0,)]
    # No chunk has more than four; the job has.
    assert too_few.state is JobState.FAILED
    said = str(too_few.reason)
    assert "5 rows cannot be read or scored, and --max-rejects allows 4" in said
    assert "chunk 0 (2 rows), chunk 1 (1 row), chunk 2 (2 rows)" in said
    assert f"id=1 ({reason}); id=201 ({reason}); id=401" in said
    assert f"skfleet rejects {jobs[1]}" in said
    assert fleet.sql(f"SELECT to_regclass('{fleet.output_table(jobs[1])}')") == [(None,)]


def test_chunks_over_the_limit_fail_the_job_at_its_end_which_names_the_rows_of_all(
    standing_fleet: Fleet,
) -> None:
    fleet = standing_fleet
    make_spoiled(fleet, infinite="id IN (5, 700, 701)")
    job = fleet.submit(rows=900, chunk_rows=300, table="spoiled")
    record = fleet.wait(job)
    assert record.state is JobState.FAILED
    why = "(miles is infinite or too large)"
    assert str(record.reason).startswith(
        "3 rows cannot be read or scored, and --max-rejects allows 0: chunk 0 (1 row), chunk 2 (2 rows)."
    )
    assert str(record.reason).endswith(f"The first: id=5 {why}; id=700 {why}; id=701 {why}.")
    assert [row["id"] for row in rejects_of(job, fleet)] == ["5", "700", "701"]
    first, done, last = fleet.cloud.tracker.commits(job, range(3))
    # The chunk between them was scored, and would not be again in a retry.
    assert done.outcome is CommitOutcome.DONE
    assert (first.rows_quarantined, last.rows_quarantined) == (1, 2)
    assert last.reason == "2 rows cannot be read or scored; --max-rejects allows 0 in the whole job."
    status = find_job(fleet.cloud, job).status()
    assert [failure.chunk for failure in status.failures] == [0, 2]
    said = fleet.workers[0].said("job.failed")[-1]
    assert (said["job"], "id=700" in str(said)) == (job, False)
    assert "id=700" not in fleet.workers[0].log.read_text()


def test_moments_and_numerics_that_no_feature_can_hold_are_set_aside_too(fleet: Fleet) -> None:
    born = Column(name="born", warehouse_type="date", dtype=LogicalDtype.DATE)
    price = Column(name="price", warehouse_type="numeric", dtype=LogicalDtype.DECIMAL)
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "id": np.arange(300),
            "born": pa.array(rng.integers(0, 20_000, 300), pa.int32()).cast(pa.date32()),
            "price": rng.uniform(0, 100, 300),
            "late": rng.integers(0, 2, 300).astype(bool),
        }
    )
    fitted = fit_model(
        table,
        columns=[COLUMNS[0], born, price, COLUMNS[3]],
        choices=FitChoices(
            targets=("late",),
            model="logistic_regression",
            name=MODEL,
            id_columns=("id",),
            null_policy="error",
        ),
    )
    special = replace(fleet, files=pack(fitted))
    special.register()
    special.sql("DROP TABLE IF EXISTS odd")
    special.sql(
        "CREATE TABLE odd AS SELECT id, '2001-01-01'::date + id::integer AS born, id::numeric / 7 AS price"
        " FROM flights WHERE id <= 40"
    )
    special.sql(
        "UPDATE odd SET born = 'infinity' WHERE id = 3; UPDATE odd SET born = '-infinity' WHERE id = 4;"
        " UPDATE odd SET born = '40000-01-01' WHERE id = 5; UPDATE odd SET price = 1e400 WHERE id = 6;"
        " UPDATE odd SET price = 1e-400 WHERE id = 7; UPDATE odd SET born = '4000-01-01 BC' WHERE id = 8"
    )
    special.start_worker()
    job = special.submit(rows=40, chunk_rows=20, table="odd", max_rejects=4)
    record = special.wait(job)
    assert record.state is JobState.SUCCEEDED, record.reason
    beyond = "born is infinite, or after the year 32767"
    reasons = {row["id"]: row["reason"] for row in rejects_of(job, special)}
    assert reasons == {"3": beyond, "4": beyond, "5": beyond, "6": "price is infinite or too large"}
    assert special.sql(f"SELECT count(*) FROM {special.output_table(job)}") == [(36,)]


@pytest.mark.parametrize("failing", ["raises", "gives NaN"])
def test_rows_on_which_the_model_fails_are_found_one_by_one(
    fleet: Fleet, bench: Workbench, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The estimator takes all rows but two; nothing in their features says so before."""
    bundle = bench.models.open(MODEL, fleet.digest)
    estimator = bundle.pipeline.named_steps["model"]
    predict = type(estimator).predict_proba

    def picky(model: object, X: FloatArray) -> FloatArray:
        odd = np.isin(X[:, 0], [100.25 + 17, 100.25 + 500])
        if failing == "raises" and odd.any():
            raise ValueError(f"Input contains {X[odd][0]}")
        probabilities: FloatArray = predict(model, X)
        probabilities[odd] = np.nan
        return probabilities

    jobs = [fleet.submit(rows=900, chunk_rows=900, max_rejects=limit) for limit in (2, 0)]
    monkeypatch.setattr(type(estimator), "predict_proba", picky)
    reports: list[int] = []
    watched = replace(bench, report=reports.append)
    for job, limit in zip(jobs, (2, 0), strict=True):
        message = ChunkMessage(job=job, run=1, position=0, run_chunks=1, chunk=fleet.plan(job).chunks[0])
        # The second row is in another batch: there are too many already, but not yet enough to stop.
        batch_rows = None if limit else 300
        carry_out(Assignment(message, receive_count=1, batch_rows=batch_rows), watched)
        rejected = rejects_of(job, fleet)
        assert {row["id"] for row in rejected} == {"17", "500"}
        why = "the model cannot score it (ValueError)"
        expected = why if failing == "raises" else "the model gives no finite number for it"
        assert {row["reason"] for row in rejected} == {expected}
        if limit == 2:
            (commit,) = fleet.cloud.tracker.commits(job, [0])
            assert (commit.rows_scored, commit.rows_quarantined) == (898, 2)
            assert len(reports) > 20 if failing == "raises" else len(reports) == 3
        else:
            assert fleet.cloud.tracker.job(job).state is JobState.FAILED


def test_a_model_that_fails_on_every_row_fails_the_job_and_is_not_tried_on_all(
    fleet: Fleet, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bench.models.open(MODEL, fleet.digest)
    estimator = bundle.pipeline.named_steps["model"]
    calls = 0

    def broken(_model: object, _X: FloatArray) -> FloatArray:
        nonlocal calls
        calls += 1
        raise AttributeError

    job = fleet.submit(rows=1_000, chunk_rows=1_000, max_rejects=3)
    monkeypatch.setattr(type(estimator), "predict_proba", broken)
    message = ChunkMessage(job=job, run=1, position=0, run_chunks=1, chunk=fleet.plan(job).chunks[0])
    carry_out(Assignment(message, receive_count=1), bench)
    record = fleet.cloud.tracker.job(job)
    assert record.state is JobState.FAILED
    assert "At least 10 rows" in str(record.reason)
    reason = "(the model cannot score it (AttributeError))"
    assert all(f"id={number} {reason}" in str(record.reason) for number in range(1, 11))
    assert calls < 60


def test_rows_that_the_warehouse_itself_cannot_read_are_found_by_cutting_the_chunk(
    standing_fleet: Fleet,
) -> None:
    """A view that casts text fails the whole statement for one row, and does not say for which."""
    fleet = standing_fleet
    fleet.sql(
        "CREATE OR REPLACE VIEW textual AS SELECT id, carrier, CASE WHEN id IN (17, 411) THEN 'n/a'"
        " WHEN id = 640 THEN 'Infinity' ELSE miles::text END::float8 AS miles, 1000 / (id - 500) AS share"
        " FROM flights WHERE id <= 900"
    )
    columns = (
        OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),
        OutputColumn(name="share", warehouse_type="bigint", source="carried"),
        *fleet.bundle.manifest.output_columns(),
    )
    asked = {"rows": 900, "chunk_rows": 450, "table": "textual", "output_columns": columns}
    jobs = [fleet.submit(**asked, max_rejects=limit) for limit in (4, 1)]  # type: ignore[arg-type]
    enough, too_few = [fleet.wait(job) for job in jobs]
    assert enough.state is JobState.SUCCEEDED, enough.reason
    cast = "the warehouse cannot give miles of it (invalid text representation)"
    assert {row["id"]: row["reason"] for row in rejects_of(jobs[0], fleet)} == {
        "17": cast,
        "411": cast,
        "500": "the warehouse cannot give share of it (division by zero)",
        "640": "miles is infinite or too large",
    }
    published = fleet.sql(f"SELECT id, share FROM {fleet.output_table(jobs[0])} ORDER BY id")
    expected = [number for number in range(1, 901) if number not in {17, 411, 500, 640}]
    assert published == [(number, int(1000 / (number - 500))) for number in expected]
    assert too_few.state is JobState.FAILED
    assert str(too_few.reason).startswith("4 rows cannot be read or scored")


def test_a_row_at_fault_that_shares_its_key_with_others_fails_the_job(standing_fleet: Fleet) -> None:
    fleet = standing_fleet
    fleet.sql(
        "CREATE OR REPLACE VIEW shared AS SELECT (id + 1) / 2 AS id, carrier,"
        " (1 / (id - 60))::float8 AS miles FROM flights WHERE id <= 200"
    )
    record = fleet.wait(fleet.submit(rows=200, chunk_rows=200, table="shared", max_rejects=9))
    assert record.state is JobState.FAILED
    assert "division by zero" in str(record.reason)
