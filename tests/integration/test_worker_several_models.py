"""Several models of one job: what one of them rejects, what an older worker leaves alone, what stays open."""

from __future__ import annotations

import numpy as np
import pytest
from tests.integration.test_worker_rejects import rejects_of
from tests.integration.worker_fleet import MODEL, Fleet, fit_files

from skfleet_common.contracts.jobs import JobSpec, ModelRef, OutputColumn
from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.contracts.states import JobState
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of
from skfleet_worker.attempt import carry_out
from skfleet_worker.bench import Workbench
from skfleet_worker.job_models import JobModels
from skfleet_worker.models import KEPT_OPEN
from skfleet_worker.protocol import Assignment, Ending


def second_model(fleet: Fleet, name: str = "strict", *, null_policy: str = "reject_row") -> ModelRef:
    """Register another model, which by default rejects rows without a carrier."""
    files = fit_files(null_policy={"carrier": null_policy})
    digest = digest_of(files[MANIFEST_FILE])
    for file, raw in files.items():
        fleet.cloud.store.put(fleet.cloud.names.bundle_file(name, digest, file), raw)
    return ModelRef(name=name, digest=digest)


def submit_both(fleet: Fleet, other: ModelRef, **asked: object) -> str:
    """Submit a job of both models, as the producer writes it."""
    columns = [
        column.model_copy(update={"name": f"{word}_{column.name}", "model": place, "output": column.name})
        for place, word in enumerate((MODEL, other.name))
        for column in fleet.bundle.manifest.output_columns()
    ]
    identity = OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False)
    return fleet.submit(schema_version=2, more_models=(other,), output_columns=(identity, *columns), **asked)


def first_chunk(fleet: Fleet, job: str) -> Assignment:
    chunks = fleet.plan(job).chunks
    message = ChunkMessage(job=job, run=1, position=0, run_chunks=len(chunks), chunk=chunks[0])
    return Assignment(message, receive_count=1)


def test_a_row_that_one_model_rejects_is_rejected_and_the_reason_names_it(fleet: Fleet) -> None:
    other = second_model(fleet)
    fleet.start_worker()
    job = submit_both(fleet, other)
    record = fleet.wait(job)
    assert record.state is JobState.SUCCEEDED, record.reason
    assert (record.rows_scored, record.rows_rejected) == (3_429, 571)
    rejected = rejects_of(job, fleet)
    assert {row["id"] for row in rejected} == {str(row) for row in range(7, 4_001, 7)}
    reasons = {(row["reason"], row["quarantined"]) for row in rejected}
    assert reasons == {("strict: carrier is NULL", False)}
    alone = fleet.submit()
    assert fleet.wait(alone).state is JobState.SUCCEEDED
    own = "late_prediction, late_proba_false, late_proba_true"
    both = fleet.sql(f"SELECT id, {own} FROM {fleet.output_table(job)} ORDER BY id")
    kept = fleet.sql(f"SELECT * FROM {fleet.output_table(alone)} WHERE id % 7 <> 0 ORDER BY id")
    assert both == kept


def test_an_older_worker_leaves_a_job_of_several_models_to_newer_ones(
    fleet: Fleet, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit_both(fleet, second_model(fleet))
    with monkeypatch.context() as older:
        # What a worker from before reads: version 1, and nothing of other models.
        older.setattr(JobSpec, "WRITES", 1)
        for delivery in range(1, 9):
            given = Assignment(first_chunk(fleet, job).message, receive_count=delivery)
            assert carry_out(given, bench).ending is Ending.LATER
    assert fleet.cloud.tracker.commits(job, range(4)) == []
    assert fleet.cloud.tracker.job(job).state is JobState.RUNNING
    assert carry_out(first_chunk(fleet, job), bench).ending is Ending.ACK
    assert len(fleet.cloud.tracker.commits(job, [0])) == 1


def test_a_model_that_is_gone_or_altered_fails_the_job_by_name(fleet: Fleet, bench: Workbench) -> None:
    other = second_model(fleet)
    key = fleet.cloud.names.bundle_file(other.name, other.digest, "model.skops")
    model = fleet.cloud.store.get(key)
    fleet.cloud.store.put(key, model[:-1] + bytes([model[-1] ^ 1]))
    job = submit_both(fleet, other)
    carry_out(first_chunk(fleet, job), bench)
    record = fleet.cloud.tracker.job(job)
    assert record.state is JobState.FAILED
    assert f"{other}: The bundle's model.skops was altered" in str(record.reason)


def test_rows_that_make_one_model_raise_are_quarantined_under_its_name(
    fleet: Fleet, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = second_model(fleet, null_policy="missing")
    job = submit_both(fleet, other, max_rejects=3)
    models = JobModels.of(bench.sources.spec(job), bench.models)
    estimator = models.bundles[1].pipeline.named_steps["model"]
    predict = estimator.predict_proba

    def picky(X: np.ndarray) -> np.ndarray:
        if np.isin(X[:, 0], [100.25 + 17, 100.25 + 500]).any():
            raise ValueError("no such miles")
        return predict(X)

    monkeypatch.setattr(estimator, "predict_proba", picky)
    carry_out(first_chunk(fleet, job), bench)
    why = "strict: the model cannot score it (ValueError)"
    rejected = [(row["id"], row["reason"], row["quarantined"]) for row in rejects_of(job, fleet)]
    # Miles repeat after 977 rows.
    assert rejected == [("17", why, True), ("500", why, True), ("994", why, True)]
    (commit,) = fleet.cloud.tracker.commits(job, [0])
    assert (commit.rows_scored, commit.rows_quarantined) == (997, 3)


def test_a_job_of_many_models_keeps_all_of_them_open(fleet: Fleet, bench: Workbench) -> None:
    others = tuple(second_model(fleet, f"model-{number}") for number in range(KEPT_OPEN + 1))
    spec = JobSpec.from_json(fleet.cloud.store.get(fleet.cloud.names.spec(fleet.submit(rows=10))))
    spec = spec.model_copy(update={"more_models": others})
    first = JobModels.of(spec, bench.models).bundles
    assert all(
        one is other for one, other in zip(first, JobModels.of(spec, bench.models).bundles, strict=True)
    )
    assert len(first) == KEPT_OPEN + 2
