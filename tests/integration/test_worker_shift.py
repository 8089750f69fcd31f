"""Jobs over rows that are not like the training rows: what their certificate says, and what stops them."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import pyarrow.parquet as pq
import pytest
from tests.integration.test_worker_publish import publish, scored
from tests.integration.worker_fleet import MODEL, Fleet

import skfleet
from skfleet.cli.jobs import shifted
from skfleet.job import find_job
from skfleet.preflight import check_baselines
from skfleet.request import PredictRequest
from skfleet_common.contracts.errors import JobFailed, Refused, UsageError
from skfleet_common.contracts.jobs import JobRecord, JobSpec
from skfleet_common.contracts.shapes import NewerShape
from skfleet_common.contracts.shifts import Shift
from skfleet_common.contracts.states import JobState
from skfleet_common.model.sketch import SKETCH_KEY, Sketches
from skfleet_worker.bench import Workbench


class SpecBeforeLimits(JobSpec):
    """Reads a spec as workers did that knew of no limit, and would publish beyond it."""

    WRITES: ClassVar[int] = 1


#: A limit under which rows like the training rows pass.
LIMIT = 0.25


@pytest.fixture(scope="module", autouse=True)
def sources(standing_fleet: Fleet) -> None:
    """Rows like those of training, and rows of another kind."""
    standing_fleet.sql("DROP TABLE IF EXISTS alike, other")
    standing_fleet.sql(
        "CREATE TABLE alike AS SELECT n::bigint AS id, (100 + n * 617 % 1000)::double precision AS miles,"
        " CASE n % 2 WHEN 1 THEN 'AA' ELSE 'UA' END AS carrier FROM generate_series(1, 2000) AS n"
    )
    standing_fleet.sql("DROP TABLE IF EXISTS longer")
    standing_fleet.sql("CREATE TABLE longer AS SELECT id, miles + 900 AS miles, carrier FROM alike")
    # Longer flights of a carrier that nobody knows, and more of them without miles.
    standing_fleet.sql(
        "CREATE TABLE other AS SELECT id, CASE WHEN id % 5 > 0 THEN miles + 900 END AS miles,"
        " CASE WHEN id % 4 > 0 THEN carrier ELSE 'ZZ' END AS carrier FROM alike"
    )


def run(fleet: Fleet, table: str, **asked: object) -> tuple[str, JobRecord]:
    job = fleet.submit(rows=2_000, chunk_rows=300, table=table, **asked)
    return job, fleet.wait(job)


def shift_of(job: str, fleet: Fleet) -> Shift:
    shift = find_job(fleet.cloud, job).status().shift
    assert shift is not None
    return shift


def test_rows_like_the_training_rows_pass_and_are_certified(standing_fleet: Fleet) -> None:
    job, record = run(standing_fleet, "alike", max_drift=LIMIT)
    assert record.state is JobState.SUCCEEDED, record.reason
    shift = shift_of(job, standing_fleet)
    assert (shift.rows, shift.rows_unknown) == (2_000, 0)
    columns = {column.column: column for column in shift.columns}
    assert {"miles", "carrier", "proba_false", "proba_true", "rejected rows"} == set(columns)
    assert max(columns[name].psi for name in ("miles", "carrier", "rejected rows")) < 0.1
    # Scores are compared with the hundred rows that were held out.
    assert not shift.exceeding(0.1)
    certificate = find_job(standing_fleet.cloud, job).certificate()
    assert certificate is not None
    assert certificate.shift == shift.brief()


def test_what_shifted_is_reported_worst_first_and_published_without_a_limit(standing_fleet: Fleet) -> None:
    job, record = run(standing_fleet, "other")
    assert record.state is JobState.SUCCEEDED
    shift = shift_of(job, standing_fleet)
    columns = {column.column: column for column in shift.columns}
    assert columns["miles"].exceeds(LIMIT)
    assert columns["carrier"].exceeds(LIMIT)
    assert columns["proba_true"].exceeds(LIMIT)
    assert columns["miles"].most.label.startswith("above ")
    assert (columns["miles"].null_rate, columns["miles"].trained_null_rate) == (0.2, 0.0)
    assert (columns["carrier"].unseen_rate, columns["carrier"].most.label) == (0.25, "unseen levels")
    assert shift.columns[0].psi == max(column.psi for column in shift.columns)
    line = shifted(shift)
    assert line.count("in training") == 3
    assert "the farthest of 5 compared" in line


def test_a_job_beyond_its_limit_fails_unpublished_and_says_what_shifted(standing_fleet: Fleet) -> None:
    fleet = standing_fleet
    job, record = run(fleet, "other", max_drift=LIMIT)
    assert record.state is JobState.FAILED
    reason = str(record.reason)
    assert "by more than --max-drift 0.25 allows, in " in reason
    assert "miles (" in reason
    assert "nothing was published" in reason
    assert "of the rows, " in reason
    assert "in training." in reason
    assert fleet.sql(f"SELECT to_regclass('{fleet.output_table(job)}')") == [(None,)]
    # A person sees what it was, though there is no certificate.
    status = find_job(fleet.cloud, job).status()
    assert status.certificate is None
    assert status.shift is not None
    assert status.shift.exceeding(LIMIT)


def test_a_limit_asked_of_the_producer_is_kept_by_workers_that_know_of_it(standing_fleet: Fleet) -> None:
    fleet = standing_fleet
    settings = fleet.settings.model_copy(update={"warehouse_url": fleet.server.url})
    producer = skfleet.connect(settings)
    with closing(producer.cloud):
        job = producer.predict(
            model=f"{MODEL}@{fleet.digest}",
            table="public.longer",
            id_column="id",
            output_table="public.scores_beyond_the_limit",
            max_drift=LIMIT,
        )
        with pytest.raises(JobFailed, match=r"by more than --max-drift 0.25 allows, in .*miles \("):
            job.wait(timeout_seconds=60)
        raw = fleet.cloud.store.get(fleet.cloud.names.spec(job.id))
    assert JobSpec.from_json(raw).max_drift == LIMIT
    # One that does not know of limits leaves it to others.
    with pytest.raises(NewerShape):
        SpecBeforeLimits.from_json(raw)
    assert fleet.sql("SELECT to_regclass('scores_beyond_the_limit')") == [(None,)]


def test_a_limit_that_the_model_has_no_baselines_for_is_refused_before_anything_is_sent() -> None:
    request = PredictRequest(
        model=MODEL, table="public.flights", id_columns=("id",), output_table="public.s", max_drift=LIMIT
    )
    bare = SimpleNamespace(manifest=SimpleNamespace(name=MODEL), sketcher=None)
    with pytest.raises(Refused, match="late has no baselines of its training rows"):
        check_baselines(request, [bare])
    check_baselines(replace(request, max_drift=None), [bare])


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_number_above_zero(limit: float) -> None:
    with pytest.raises(UsageError, match="--max-drift must be a number above 0"):
        PredictRequest(model=MODEL, table="t", id_columns=("id",), output_table="s", max_drift=limit)


def test_the_sketch_travels_in_the_outputs_and_does_not_depend_on_the_chunks(standing_fleet: Fleet) -> None:
    cut = [standing_fleet.submit(rows=2_000, chunk_rows=size, table="other") for size in (2_000, 300)]
    found = []
    for job in cut:
        assert standing_fleet.wait(job).state is JobState.SUCCEEDED
        merged = Sketches()
        chunks = range(standing_fleet.cloud.tracker.job(job).chunks)
        for commit in standing_fleet.cloud.tracker.commits(job, chunks):
            raw = standing_fleet.cloud.store.get(str(commit.output_key))
            metadata = pq.read_metadata(io.BytesIO(raw)).metadata
            merged += Sketches.from_json(metadata[SKETCH_KEY.encode()])
        found.append(merged)
    assert found[0] == found[1]
    shifts = [shift_of(job, standing_fleet) for job in cut]
    assert shifts[0] == shifts[1]


def test_a_publisher_that_died_before_the_certificate_has_left_the_shift_to_the_next(
    fleet: Fleet, bench: Workbench
) -> None:
    job = scored(fleet, bench)
    fleet.cloud.store.put(fleet.cloud.names.shift(job), Shift(why_not="somebody measured another").to_json())
    publish(job, bench)
    certificate = find_job(fleet.cloud, job).certificate()
    assert certificate is not None
    # It was measured anew, because this one published.
    assert certificate.shift is not None
    assert certificate.shift.why_not is None
    assert certificate.shift.rows == 900
