"""A fleet of real worker processes over a real emulator and a real PostgreSQL, and jobs for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import psycopg2
import pyarrow as pa
import pytest
from tests.conftest import eventually
from tests.contract.aws_emulator import new_settings, private_emulator
from tests.contract.private_postgres import PrivatePostgres, private_postgres

from skfleet_common.aws.session import Cloud, connect_cloud, create_fleet
from skfleet_common.contracts.chunks import Chunk, ChunkPlan, IdRange, TableName
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.jobs import IfExists, JobRecord, JobSpec, OutputColumn
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, encode
from skfleet_common.contracts.states import JobState
from skfleet_common.model.bundle import MANIFEST_FILE, Bundle, digest_of, open_bundle, pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import fit_model
from skfleet_common.settings import Settings
from skfleet_worker.bench import Workbench

MODEL = "late"
COLUMNS = (
    Column(name="id", warehouse_type="bigint", dtype=LogicalDtype.INTEGER, nullable=False),
    Column(name="miles", warehouse_type="double precision", dtype=LogicalDtype.FLOAT64),
    Column(name="carrier", warehouse_type="text", dtype=LogicalDtype.TEXT),
    Column(name="late", warehouse_type="boolean", dtype=LogicalDtype.BOOLEAN),
)
#: Whoever holds this advisory lock stops all reads of the gated view.
GATE = 4711


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """An emulator for the whole session."""
    with private_emulator() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def warehouse_server() -> Iterator[PrivatePostgres]:
    """A PostgreSQL for the whole session, with the table that every test scores, and a gated view of it."""
    with private_postgres() as server:
        with closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE flights AS SELECT n::bigint AS id, 100 + n % 977 + 0.25 AS miles_exact,"
                " (100 + n % 977 + 0.25)::double precision AS miles,"
                " CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN 'AA' ELSE 'UA' END AS carrier,"
                " n % 5 < 2 AS late FROM generate_series(1, 4000) AS n"
            )
            cursor.execute("ALTER TABLE flights DROP COLUMN miles_exact, ADD PRIMARY KEY (id)")
            # Who waits at the gate waits for as long as it is shut: the product's limit is for other locks.
            cursor.execute(
                "CREATE FUNCTION pass_the_gate() RETURNS boolean LANGUAGE sql SET lock_timeout = 0"
                f" AS 'SELECT pg_advisory_xact_lock_shared({GATE})::text IS NOT NULL'"
            )
            cursor.execute("CREATE VIEW gated AS SELECT * FROM flights WHERE pass_the_gate()")
            connection.commit()
        yield server


def fit_files(*, null_policy: str | dict[str, str]) -> dict[str, bytes]:
    """Fit a small model and give its files."""
    rng = np.random.default_rng(0)
    rows = 500
    miles = rng.uniform(100, 1_100, rows)
    frame = pa.table(
        {
            "id": np.arange(rows),
            "miles": miles,
            "carrier": rng.choice(["AA", "UA"], rows),
            "late": miles + rng.normal(0, 200, rows) > 600,
        }
    )
    fitted = fit_model(
        frame,
        columns=COLUMNS,
        choices=FitChoices(targets=("late",), name=MODEL, id_columns=("id",), null_policy=null_policy),
    )
    return pack(fitted)


@pytest.fixture(scope="session")
def model_files() -> dict[str, bytes]:
    """The files of a model that takes NULLs."""
    return fit_files(null_policy="missing")


@dataclass
class Worker:
    """A worker process and what it has logged."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.events if entry["event"] == event]

    def wait_for(self, event: str, *, count: int = 1, within_seconds: float = 40.0) -> list[dict[str, Any]]:
        def look() -> list[dict[str, Any]]:
            assert self.process.poll() is None, self.log.read_text()
            said = self.said(event)
            return said if len(said) >= count else []

        return eventually(look, within_seconds=within_seconds)

    def scorers(self) -> list[psutil.Process]:
        """The scoring processes: the children of the fork server."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            # A child may end while it is looked at.
            with suppress(psutil.NoSuchProcess):
                found += child.children()
        return found

    def stop(self, *, within_seconds: float = 40.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_seconds)


@dataclass
class Fleet:
    """One fleet of a test's own."""

    settings: Settings
    cloud: Cloud
    server: PrivatePostgres
    files: dict[str, bytes]
    folder: Path
    workers: list[Worker] = field(default_factory=list)

    # Workers.

    def environment(self, **settings: object) -> dict[str, str]:
        given = {
            "fleet": self.settings.fleet,
            "bucket": self.settings.bucket,
            "aws_endpoint_url": self.settings.aws_endpoint_url,
            "warehouse_url": self.server.url,
            "cache_dir": self.folder / "cache",
            "scorers": 1,
            "lease_seconds": 3,
            "heartbeat_seconds": 0.5,
            "poll_seconds": 1,
            "care_seconds": 1,
            "metadata_url": "off",
        } | settings
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SKFLEET_", "AWS_"))}
        return clean | {f"SKFLEET_{name.upper()}": str(value) for name, value in given.items()}

    def start_worker(self, **settings: object) -> Worker:
        log = self.folder / f"worker-{len(self.workers)}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "skfleet_worker", "run"],
                env=self.environment(**settings),
                stderr=sink,
                cwd=self.folder,
                start_new_session=True,
            )
        self.workers.append(Worker(process, log))
        return self.workers[-1]

    # Jobs.

    @cached_property
    def bundle(self) -> Bundle:
        return open_bundle(self.files, digest=self.digest)

    @property
    def digest(self) -> str:
        return digest_of(self.files[MANIFEST_FILE])

    def register(self, files: dict[str, bytes] | None = None) -> None:
        for name, raw in (files or self.files).items():
            self.cloud.store.put(self.cloud.names.bundle_file(MODEL, self.digest, name), raw)

    def submit(
        self, *, rows: int = 4_000, chunk_rows: int = 1_000, table: str = "flights", **asked: Any
    ) -> str:
        """Submit the first ``rows`` rows in chunks of ``chunk_rows`` by hand, and give the job's id.

        ``asked`` are other fields of the job's spec.
        """
        job = f"job-{uuid.uuid4().hex[:12]}"
        chunks = tuple(
            Chunk(
                number=number,
                range=IdRange(first=str(first), stop=str(min(first + chunk_rows, rows + 1))),
                rows=min(chunk_rows, rows + 1 - first),
            )
            for number, first in enumerate(range(1, rows + 1, chunk_rows))
        )
        plan = ChunkPlan(chunks=chunks)
        spec = JobSpec(
            job=job,
            fleet=self.settings.fleet,
            model=MODEL,
            digest=self.digest,
            table=TableName(schema_name="public", name=table),
            id_columns=("id",),
            split_column="id",
            split_type="bigint",
            output_table=self.output_table(job),
            if_exists=IfExists.FAIL,
            output_columns=(
                OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),
                *self.bundle.manifest.output_columns(),
            ),
            created_at=datetime.now(UTC),
            rows=plan.rows,
            chunks=len(chunks),
        ).model_copy(update=asked)
        self.cloud.store.put(self.cloud.names.plan(job), plan.to_json())
        self.cloud.store.put(self.cloud.names.spec(job), spec.to_json())
        self.cloud.tracker.create_job(
            JobRecord(
                job=job,
                run_chunks=len(chunks),
                model=MODEL,
                digest=self.digest,
                table=spec.table,
                output_table=spec.output_table,
                rows=plan.rows,
                chunks=len(chunks),
                created_at=spec.created_at,
                token=job,
            ),
            token=job,
        )
        self.send(job, chunks)
        return job

    def send(self, job: str, chunks: Sequence[Chunk]) -> None:
        """Send a job's messages, as the producer does."""
        if not chunks:
            self.cloud.tracker.move(job, JobState.PUBLISHING, run=1)
            self.cloud.queue.send([encode(PublishMessage(job=job, run=1))])
            return
        self.cloud.queue.send(
            [
                encode(
                    ChunkMessage(job=job, run=1, position=chunk.number, run_chunks=len(chunks), chunk=chunk)
                )
                for chunk in chunks
            ]
        )
        self.cloud.tracker.move(job, JobState.RUNNING, run=1)

    def plan(self, job: str) -> ChunkPlan:
        return ChunkPlan.from_json(self.cloud.store.get(self.cloud.names.plan(job)))

    def output_table(self, job: str) -> TableName:
        return TableName(schema_name="public", name=f"scores_{job.replace('-', '_')}")

    def wait(self, job: str, *, within_seconds: float = 60.0) -> JobRecord:
        """Give the job's record once it has ended."""

        def ended() -> JobRecord | None:
            for worker in self.workers:
                assert worker.process.returncode in {None, 0, -signal.SIGKILL}, worker.log.read_text()
            record = self.cloud.tracker.job(job)
            return record if record.state.is_terminal else None

        record = eventually(ended, within_seconds=within_seconds)
        assert record is not None
        return record

    # What is to be seen afterwards.

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        connect = psycopg2.connect(self.server.url)
        with closing(connect), connect, connect.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def gate_shut(self) -> Iterator[None]:
        """Stop every read of the gated view until the context is left."""
        with closing(psycopg2.connect(self.server.url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_lock({GATE})")
            yield

    def wait_at_gate(self, count: int = 1) -> None:
        """Wait until ``count`` scorers are in the middle of a read that the gate stops."""
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        eventually(lambda: self.sql(waiting) == [(count,)])

    def assert_published(self, job: str, *, rows: int = 4_000) -> None:
        """Check the published table row for row against the same model here."""
        published = self.sql(f"SELECT * FROM {self.output_table(job)} ORDER BY id")
        assert [row[0] for row in published] == list(range(1, rows + 1))
        source = pd.DataFrame(
            self.sql(f"SELECT miles, carrier FROM flights WHERE id <= {rows} ORDER BY id"),
            columns=["miles", "carrier"],
        )
        if rows == 0:
            return
        expected = self.bundle.predict_proba(source)
        np.testing.assert_array_equal(np.array([row[2:] for row in published]), expected)
        assert [row[1] for row in published] == list(self.bundle.predict(source))

    def assert_queue_empty(self) -> None:
        eventually(lambda: self.cloud.queue.approximate_depth().total == 0)


@contextmanager
def new_worker_fleet(
    endpoint: str, server: PrivatePostgres, files: dict[str, bytes], folder: Path
) -> Iterator[Fleet]:
    """Make a fleet without workers; whatever is left running is ended, and its tables dropped."""
    settings = new_settings(endpoint)
    create_fleet(settings)
    with closing(connect_cloud(settings)) as cloud:
        fleet = Fleet(settings, cloud, server, files, folder)
        fleet.register()
        try:
            yield fleet
        finally:
            for worker in fleet.workers:
                if worker.process.poll() is None:
                    worker.process.kill()
                worker.process.wait()
            for (name,) in fleet.sql("SELECT tablename FROM pg_tables WHERE tablename LIKE 'scores_%'"):
                fleet.sql(f'DROP TABLE "{name}"')


@pytest.fixture
def fleet(
    aws_endpoint: str, warehouse_server: PrivatePostgres, model_files: dict[str, bytes], tmp_path: Path
) -> Iterator[Fleet]:
    """A fleet of the test's own, without workers."""
    with new_worker_fleet(aws_endpoint, warehouse_server, model_files, tmp_path) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def standing_fleet(
    aws_endpoint: str,
    warehouse_server: PrivatePostgres,
    model_files: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    """A fleet with one worker of two scorers that is ready, for tests which leave it as it is."""
    folder = tmp_path_factory.mktemp("standing")
    with new_worker_fleet(aws_endpoint, warehouse_server, model_files, folder) as fleet:
        fleet.start_worker(scorers=2).wait_for("scorer.ready", count=2)
        yield fleet
        assert fleet.workers[0].stop() == 0


@pytest.fixture
def bench(fleet: Fleet) -> Iterator[Workbench]:
    """A scorer's workbench in this process."""
    settings = fleet.settings.model_copy(
        update={"warehouse_url": fleet.server.url, "cache_dir": fleet.folder / "cache"}
    )
    bench = Workbench.set_up(settings, worker=f"test-{os.getpid()}", seat=0, report=lambda _rows: None)
    with closing(bench.cloud):
        yield bench
