"""What a job is certified to have done, checked against the published table itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.integration.test_worker_publish import no_rows, publication_of, publish
from tests.integration.worker_fleet import Fleet

from skfleet.job import find_job
from skfleet_common.contracts.certificates import Certificate
from skfleet_common.contracts.jobs import OnDrift, OutputColumn
from skfleet_common.contracts.messages import PublishMessage
from skfleet_common.contracts.states import JobState
from skfleet_common.model.checksum import Checksum
from skfleet_common.tables.port import Published
from skfleet_worker.bench import Workbench
from skfleet_worker.publish import _succeed
from skfleet_worker.reconciliation import certify

PAGE = Path(__file__).parents[2] / "docs" / "certificate.md"

ID = OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False)
CARRIER = OutputColumn(name="carrier", warehouse_type="text", source="carried")
MILES = OutputColumn(name="miles", warehouse_type="double precision", source="carried")


def recomputed(job: str, fleet: Fleet, verbatim: list[str]) -> str:
    """Give the checksum of the published table, by the code that docs/certificate.md shows."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    shown: dict[str, Any] = {}
    exec(code, shown)  # noqa: S102  (the documentation's own example)
    kinds = {column.name: column.warehouse_type for column in fleet.bundle.manifest.output_columns()}
    return str(shown["checksum"](fleet.server.url, str(fleet.output_table(job)), verbatim, kinds))


def certificate_of(job: str, fleet: Fleet) -> Certificate:
    certificate = find_job(fleet.cloud, job).certificate()
    assert certificate is not None
    return certificate


def test_the_checksum_is_that_of_the_published_table_however_it_was_cut(standing_fleet: Fleet) -> None:
    columns = (ID, CARRIER, MILES, *standing_fleet.bundle.manifest.output_columns())
    jobs = [
        standing_fleet.submit(rows=1_500, chunk_rows=size, output_columns=columns) for size in (1_500, 400)
    ]
    checksums = []
    for job in jobs:
        assert standing_fleet.wait(job).state is JobState.SUCCEEDED
        certificate = certificate_of(job, standing_fleet)
        assert certificate.adds_up
        assert certificate.checksum == recomputed(job, standing_fleet, ["id", "carrier", "miles"])
        checksums.append(certificate.checksum)
    assert checksums[0] == checksums[1]
    table = standing_fleet.output_table(jobs[0])
    standing_fleet.sql(f"UPDATE {table} SET proba_true = proba_true + 1e-16 WHERE id = 17")
    assert recomputed(jobs[0], standing_fleet, ["id", "carrier", "miles"]) != checksums[0]


def test_drift_that_is_allowed_is_published_and_named(standing_fleet: Fleet) -> None:
    fleet = standing_fleet
    fleet.sql("DROP TABLE IF EXISTS moving")
    fleet.sql("CREATE TABLE moving AS SELECT id * 2 AS id, miles, carrier FROM flights WHERE id <= 500")
    # Ids 2, 4 … 1000, planned as 500, 0 and 0 too few.
    jobs = [
        fleet.submit(rows=1_000, chunk_rows=500, table="moving", on_drift=policy)
        for policy in (OnDrift.WARN, OnDrift.FAIL)
    ]
    records = [fleet.wait(job) for job in jobs]
    assert [record.state for record in records] == [JobState.SUCCEEDED, JobState.FAILED]
    assert "--on-drift warn" in str(records[1].reason)
    certificate = certificate_of(jobs[0], fleet)
    assert [(at.chunk, at.rows_planned, at.rows_read) for at in certificate.drift] == [
        (0, 500, 250),
        (1, 500, 250),
    ]
    assert (certificate.rows_read, certificate.rows_published) == (500, 500)
    assert certificate.rows_drifted == 500
    assert certificate.adds_up
    assert certificate.checksum == recomputed(jobs[0], fleet, ["id"])


def test_whoever_finds_a_publication_done_leaves_its_certificate_as_it_is(
    fleet: Fleet, bench: Workbench
) -> None:
    """The first publisher died after the certificate, and before it moved the job on."""
    job = fleet.submit(rows=0)
    assert bench.warehouse.publisher.publish(publication_of(job, fleet), no_rows(job, fleet))
    spec = bench.sources.spec(job)
    before = datetime(2026, 1, 1, tzinfo=UTC)
    published = Published(rows=0, is_new=True)
    first = certify(spec, fleet.plan(job), [], run=1, published=published, now=before)
    fleet.cloud.store.put(fleet.cloud.names.certificate(job), first.to_json())
    publish(job, bench, failures=1)
    assert fleet.cloud.tracker.job(job).state is JobState.SUCCEEDED
    assert certificate_of(job, fleet) == first
    assert (first.chunks, first.rows_published, first.checksum) == (0, 0, str(Checksum()))
    assert first.adds_up


def test_a_publication_that_nobody_certified_is_certified_by_whoever_gives_up(
    fleet: Fleet, bench: Workbench
) -> None:
    job = fleet.submit(rows=0)
    assert bench.warehouse.publisher.publish(publication_of(job, fleet), no_rows(job, fleet))
    publish(job, bench, failures=4, give_up="its scoring process was killed")
    assert certificate_of(job, fleet).adds_up


def test_a_job_that_published_other_rows_than_it_scored_has_not_succeeded(
    fleet: Fleet, bench: Workbench
) -> None:
    job = fleet.submit(rows=0)
    _succeed(
        PublishMessage(job=job, run=1),
        bench.sources.spec(job),
        fleet.plan(job),
        [],
        bench,
        published=Published(rows=3, is_new=True),
    )
    record = fleet.cloud.tracker.job(job)
    assert record.state is JobState.FAILED
    assert "3 rows were published" in str(record.reason)
    certificate = Certificate.from_json(fleet.cloud.store.get(fleet.cloud.names.certificate(job)))
    assert not certificate.adds_up
