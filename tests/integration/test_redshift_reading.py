"""Jobs that read Redshift, range by range or what it unloads: the same scores, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import psutil
import pytest
from tests.conftest import eventually
from tests.integration.worker_fleet import MODEL, Fleet
from tests.redshift.place import RedshiftPlace
from tests.redshift.refusal import Refusal

from skfleet import api
from skfleet.job import find_job
from skfleet_common.contracts.errors import Refused, SkfleetError, UsageError
from skfleet_common.contracts.jobs import JobRecord, JobSpec
from skfleet_common.contracts.states import JobState

ROWS = 4_000


@dataclass
class Reading:
    """A fleet whose warehouse is a Redshift, with the flights that every test scores."""

    fleet: Fleet
    redshift: RedshiftPlace
    skfleet: api.Fleet

    @property
    def settings(self) -> dict[str, object]:
        return {"warehouse_url": address(self.redshift), "redshift_iam_role": self.redshift.iam_role}

    def start_worker(self, **more: object) -> Any:
        return self.fleet.start_worker(**self.settings, **more)

    def submit(self, read: str, **asked: Any) -> str:
        output = asked.pop("output_table", f"{self.redshift.schema}.scores_{read}")
        return self.skfleet.predict(
            model=f"{MODEL}@{self.fleet.digest[:12]}", table=f"{self.redshift.schema}.flights",
            id_column="id", output_table=output, read=read, **({"chunk_rows": 700} | asked),
        ).id  # fmt: skip

    def tamper(self, **how: Any) -> None:
        warehouse = self.skfleet.warehouse
        tampered = _Tampered(warehouse.unloader, self.fleet.cloud.store.client, **how)
        self.skfleet.__dict__["warehouse"] = replace(warehouse, unloader=tampered)

    def unloaded(self, job: str) -> list[str]:
        return list(self.fleet.cloud.store.list_keys(self.fleet.cloud.names.unload(job)))

    def all_unloaded(self) -> list[str]:
        keys = self.fleet.cloud.store.list_keys(self.fleet.cloud.names.jobs_prefix())
        return [key for key in keys if "/unload/" in key]

    def succeeded(self, job: str) -> JobRecord:
        record = self.fleet.wait(job)
        assert record.state is JobState.SUCCEEDED, record.reason
        return record

    def spec(self, job: str) -> JobSpec:
        return JobSpec.from_json(self.fleet.cloud.store.get(self.fleet.cloud.names.spec(job)))

    def scores(self, name: str) -> list[tuple[Any, ...]]:
        return self.redshift.sql(f"SELECT * FROM {self.redshift.schema}.{name} ORDER BY id")


def address(redshift: RedshiftPlace) -> str:
    return redshift.url.replace("postgresql", "redshift") + "?sslmode=disable"


@pytest.fixture
def reading(fleet: Fleet, redshift: RedshiftPlace) -> Iterator[Reading]:
    redshift.sql(
        "CREATE TABLE flights (id bigint NOT NULL, miles double precision, carrier varchar(8), late boolean)"
    )
    redshift.seed(
        "INSERT INTO flights SELECT n, (100 + n % 977 + 0.25)::float8,"
        " CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN 'AA' ELSE 'UA' END, n % 5 < 2"
        f" FROM generate_series(1, {ROWS}) AS n"
    )
    settings = fleet.settings.model_copy(
        update={"warehouse_url": address(redshift), "redshift_iam_role": redshift.iam_role}
    )
    skfleet = api.Fleet(settings)
    with closing(skfleet.cloud):
        yield Reading(fleet, redshift, skfleet)


@pytest.mark.slow
def test_postgres_select_and_unload_give_the_same_scores(reading: Reading) -> None:
    of_postgres = reading.fleet.submit()
    worker = reading.fleet.start_worker()
    reading.succeeded(of_postgres)
    assert worker.stop() == 0
    expected = reading.fleet.sql(f"SELECT * FROM {reading.fleet.output_table(of_postgres)} ORDER BY id")
    reading.start_worker()
    for read in ("select", "unload"):
        job = reading.submit(read)
        record = reading.succeeded(job)
        assert record.rows_scored == ROWS
        assert record.chunks > 3
        assert reading.scores(f"scores_{read}") == expected


def test_an_unloaded_job_reads_files_in_its_tables_name_and_leaves_none(reading: Reading) -> None:
    job = reading.submit("unload", columns=["carrier"])
    spec = reading.spec(job)
    assert (spec.schema_version, str(spec.table)) == (3, f"{reading.redshift.schema}.flights")
    assert spec.is_unloaded
    assert {column.name for column in spec.files.columns} == {"id", "miles", "carrier"}
    there = reading.unloaded(job)
    assert len(there) == spec.files.files + 1
    statements = [it for it in reading.redshift.server.statements if it.startswith("UNLOAD")]
    assert len(statements) == 1
    assert not {"CLEANPATH", "ALLOWOVERWRITE"} & set(statements[0].upper().split())
    reading.start_worker()
    reading.succeeded(job)
    assert reading.unloaded(job) == []


def test_a_dry_run_unloads_nothing_and_says_what_it_would_do(reading: Reading) -> None:
    request = api.predict_request(
        model=f"{MODEL}@{reading.fleet.digest[:12]}", table=f"{reading.redshift.schema}.flights",
        id_column="id", output_table=f"{reading.redshift.schema}.out", read="unload", chunk_rows=1_000,
    )  # fmt: skip
    prepared = reading.skfleet.plan(request)
    assert prepared.plan.rows == ROWS
    assert any("Nothing is unloaded in a dry run" in warning for warning in prepared.warnings)
    assert any("more than the 1,000 asked for" in warning for warning in prepared.warnings)
    assert reading.all_unloaded() == []
    assert not any(it.startswith("UNLOAD") for it in reading.redshift.server.statements)


def test_a_dry_run_warns_of_what_makes_reading_by_ranges_dear(reading: Reading) -> None:
    name = f"{reading.redshift.schema}.flights"
    reading.redshift.server.describe(name, stats_off=40)
    request = api.predict_request(
        model=f"{MODEL}@{reading.fleet.digest[:12]}", table=name, id_column="id", read="select",
        output_table=f"{reading.redshift.schema}.out", chunk_rows=1_000,
    )  # fmt: skip
    told = "\n".join(reading.skfleet.plan(request).warnings)
    assert f"{name} has no sort key, so that each of the 4 chunks scans all of it" in told
    assert f"The statistics of {name} are 40 % off, which may make its plans slow; run ANALYZE" in told
    reading.redshift.sql("ALTER TABLE flights ALTER SORTKEY (miles)")
    told = "\n".join(reading.skfleet.plan(request).warnings)
    assert f"{name} is sorted by miles, not by id" in told


def test_auto_says_why_it_chose(reading: Reading) -> None:
    request = api.predict_request(
        model=f"{MODEL}@{reading.fleet.digest[:12]}", table=f"{reading.redshift.schema}.flights",
        id_column="id", output_table=f"{reading.redshift.schema}.out",
    )  # fmt: skip
    prepared = reading.skfleet.plan(request)
    assert prepared.source.reading.mode == "select"
    why = f"about {ROWS:,} rows are few"
    assert f"--read auto chose select: {why}." in prepared.warnings
    # Whoever asks for the job later is told, too.
    for read, told in (("auto", ("select", why)), ("unload", ("unload", None))):
        status = find_job(reading.fleet.cloud, reading.submit(read)).status()
        assert (status.read, status.read_why) == told


def test_auto_says_what_is_so_of_empty_tables_and_of_views(reading: Reading) -> None:
    schema = reading.redshift.schema
    reading.redshift.sql("CREATE TABLE nobody (LIKE flights)")
    reading.redshift.sql(f"CREATE VIEW late AS SELECT * FROM {schema}.flights WITH NO SCHEMA BINDING")
    for name, told in (("nobody", "select: about 0 rows"), ("late", "unload: no sort key is known")):
        request = api.predict_request(
            model=f"{MODEL}@{reading.fleet.digest[:12]}", table=f"{schema}.{name}", id_column="id",
            output_table=f"{schema}.out",
        )  # fmt: skip
        assert told in "".join(reading.skfleet.plan(request).warnings)


def test_a_submission_that_fails_removes_what_was_unloaded(reading: Reading) -> None:
    reading.redshift.server.fail("pg_last_unload_count", Refusal("out of sorts"))
    with pytest.raises(SkfleetError):
        reading.submit("unload")
    assert reading.all_unloaded() == []


@pytest.mark.parametrize(("said", "told"), [(ROWS - 1, "it wrote 3,999 rows"), (0, "it wrote 0 rows")])
def test_a_count_that_does_not_agree_is_refused_and_removed(reading: Reading, said: int, told: str) -> None:
    reading.tamper(count=said)
    with pytest.raises(Refused, match=f"cannot be trusted: Redshift says that {told}"):
        reading.submit("unload")
    assert reading.all_unloaded() == []


def test_rows_that_come_while_a_table_is_unloaded_are_refused_or_told(reading: Reading) -> None:
    def insert(unloaded: Unloaded) -> None:
        reading.redshift.sql("INSERT INTO flights SELECT max(id) + 1, 1.0, 'AA', true FROM flights")

    reading.tamper(before=insert)
    with pytest.raises(Refused, match=r"4,000 rows of .* were checked, and 4,001 were unloaded, so"):
        reading.submit("unload")
    assert reading.all_unloaded() == []
    assert reading.unloaded(reading.submit("unload", on_drift="warn"))


def test_a_prefix_that_is_taken_is_refused_and_nobodys_files_are_lost(reading: Reading) -> None:
    reading.tamper(before=lambda unloaded: unloaded.put("somebodys.parquet", b"theirs"))
    with pytest.raises(Refused, match=r"there are files below s3://.* already"):
        reading.submit("unload")
    (left,) = reading.all_unloaded()
    assert left.endswith("/somebodys.parquet")


@dataclass(frozen=True)
class Unloaded:
    """Where a table is unloaded to."""

    s3: Any
    bucket: str
    prefix: str

    def put(self, name: str, content: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content)


@dataclass(frozen=True)
class _Tampered:
    """A Redshift beside which somebody else works on the files, or that counts otherwise."""

    unloader: Any
    s3: Any
    before: Callable[[Unloaded], object] | None = None
    count: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unloader, name)

    def unload(self, *given: Any, to: str, **named: Any) -> int:
        bucket, _, prefix = to.removeprefix("s3://").partition("/")
        place = Unloaded(self.s3, bucket, prefix)
        if self.before is not None:
            self.before(place)
        rows = self.unloader.unload(*given, to=to, **named)
        return rows if self.count is None else self.count


def test_cancelling_removes_what_was_unloaded(reading: Reading) -> None:
    job = reading.submit("unload")
    assert reading.unloaded(job)
    assert reading.skfleet.job(job).cancel().changed
    assert reading.unloaded(job) == []


def test_a_lost_file_fails_its_chunk_with_a_sentence_and_a_retry_is_refused(reading: Reading) -> None:
    job = reading.submit("unload")
    lost = next(key for key in reading.unloaded(job) if key.endswith(".parquet"))
    reading.fleet.cloud.store.delete([lost])
    reading.start_worker()
    record = reading.fleet.wait(job)
    assert record.state is JobState.FAILED
    assert f"{lost} is gone since the job was planned" in (record.reason or "")
    with pytest.raises(Refused, match="files that its table was unloaded into are gone"):
        reading.skfleet.job(job).retry()


def test_a_changed_file_fails_its_chunk_with_a_sentence(reading: Reading) -> None:
    job = reading.submit("unload")
    changed = next(key for key in reading.unloaded(job) if key.endswith(".parquet"))
    reading.fleet.cloud.store.put(changed, b"other bytes")
    reading.start_worker()
    record = reading.fleet.wait(job)
    assert record.state is JobState.FAILED
    assert "is not the file any more that the job was planned on" in (record.reason or "")


def test_a_table_without_rows_is_unloaded_and_published(reading: Reading) -> None:
    reading.start_worker()
    job = reading.submit("unload", where="id < 0")
    assert reading.succeeded(job).rows_scored == 0
    assert reading.scores("scores_unload") == []


def test_ids_that_repeat_are_refused_before_anything_is_unloaded(reading: Reading) -> None:
    reading.redshift.sql("INSERT INTO flights VALUES (1, 2.0, 'AA', true)")
    with pytest.raises(Refused, match="id"):
        reading.submit("unload")
    assert not any(it.startswith("UNLOAD") for it in reading.redshift.server.statements)


def test_unload_is_refused_on_postgres(fleet: Fleet) -> None:
    skfleet = api.Fleet(fleet.settings.model_copy(update={"warehouse_url": fleet.server.url}))
    with closing(skfleet.cloud), pytest.raises(UsageError, match="--read unload is for Redshift"):
        skfleet.predict(
            model=f"{MODEL}@{fleet.digest[:12]}", table="public.flights", id_column="id",
            output_table="public.o", read="unload",
        )  # fmt: skip


def test_so_many_scorers_read_redshift_at_once_and_the_others_wait_without_losing_their_lease(
    reading: Reading,
) -> None:
    reading.redshift.server.slow("^FETCH", 0.7, times=1_000)
    workers = [reading.start_worker(scorers=2, redshift_readers=2) for _ in range(2)]
    for worker in workers:
        worker.wait_for("scorer.ready", count=2)
    job = reading.submit("select", chunk_rows=500)
    seen: set[int] = set()
    while not reading.fleet.cloud.tracker.job(job).state.is_terminal:
        ((active,),) = reading.redshift.seed(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.7%' AND state = 'active'"
            " AND pid <> pg_backend_pid()"
        )
        seen.add(active)
    assert reading.succeeded(job).rows_scored == ROWS
    assert max(seen) == 2
    assert any(worker.said("seat.taken") for worker in workers)
    assert not any(worker.said("lease.lost") for worker in workers)
    assert {commit.attempts for commit in reading.fleet.cloud.tracker.commits(job, range(8))} == {1}


@pytest.mark.slow
def test_a_worker_that_dies_in_its_seat_gives_it_back_by_its_silence(reading: Reading) -> None:
    reading.redshift.server.slow("^FETCH", 8, times=1)
    first = reading.start_worker(redshift_readers=1)
    job = reading.submit("select", chunk_rows=2_000)
    eventually(lambda: reading.fleet.cloud.tracker.seats(reading.skfleet.warehouse.address))
    eventually(lambda: any(it.startswith("FETCH") for it in reading.redshift.server.statements))
    for process in [*psutil.Process(first.process.pid).children(recursive=True), first.process]:
        process.kill()
    second = reading.start_worker(redshift_readers=1)
    reading.succeeded(job)
    assert second.said("seat.taken_over")
