"""The same model on the same rows gives identical scores, wherever the rows are read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg2.extensions import parse_dsn
from tests.contract.warehouse_place import address_of
from tests.integration.worker_fleet import Fleet
from tests.redshift.place import RedshiftPlace

from skfleet import api
from skfleet_common.contracts.states import JobState

MODEL = "same"
ROWS = 2_400

#: The table's columns in the order of all its copies, with the Arrow type of their Parquet files.
COLUMNS = {
    "id": ("bigint", pa.int64()),
    "month": ("smallint", pa.int16()),
    "flight": ("integer", pa.int32()),
    "serial": ("bigint", pa.int64()),
    "miles": ("real", pa.float32()),
    "share": ("double precision", pa.float64()),
    "delay": ("numeric(9,4)", pa.decimal128(9, 4)),
    "night": ("boolean", pa.bool_()),
    "carrier": ("varchar(16)", pa.string()),
    "code": ("char(4)", pa.string()),
    "day": ("date", pa.date32()),
    "planned": ("timestamp", pa.timestamp("us")),
    "left_at": ("timestamptz", pa.timestamp("us", tz="UTC")),
    "late": ("boolean", pa.bool_()),
}

#: NULLs in every kind of column, texts with a delimiter, quotes, blanks and none of it, and numbers that
#: no decimal of few digits holds.
SEEDED = f"""
    INSERT INTO flights SELECT n, CASE WHEN n % 13 > 0 THEN 1 + n % 12 END, n * 7919 % 5003 - 900,
    n::bigint * 1234567 % 999999937, (n * 31 % 977 + 0.1)::real, CASE WHEN n % 17 > 0 THEN sqrt(n) / 3 END,
    CASE WHEN n % 11 > 0 THEN n % 601 / 7.0 - 20 END, CASE WHEN n % 19 > 0 THEN n % 4 = 0 END,
    (ARRAY['AA', 'a, b', 'say "x"', '', 'Å·é', ' led', 'end ', 'NA', NULL])[1 + n % 9], 'c' || n % 5,
    CASE WHEN n % 23 > 0 THEN date '2013-01-01' + n % 400 END,
    timestamp '2013-03-09 23:59:59.123456' + n * interval '37 minutes 0.001 seconds',
    timestamptz '2013-03-09 01:02:03+00' + n * interval '53 minutes', (n * 7919) % 10 < 4 OR n % 4 = 0
    FROM generate_series(1, {ROWS}) n
"""


@dataclass(frozen=True)
class Sources:
    """A table that both warehouses read, its copies in files, and jobs that score them with one model."""

    fleet: Fleet
    redshift: RedshiftPlace

    @property
    def table(self) -> str:
        return f"{self.redshift.schema}.flights"

    @property
    def of_redshift(self) -> dict[str, str]:
        return {"warehouse_url": address_of(self.redshift), "redshift_iam_role": self.redshift.iam_role}

    @property
    def of_postgres(self) -> dict[str, str]:
        backend = parse_dsn(self.redshift.server.backend_url)
        place = f"{backend['host']}:{backend['port']}/{backend['dbname']}"
        return {"warehouse_url": f"postgresql://fleet_owner:not%20a%20secret@{place}"}

    @contextmanager
    def reached(self, warehouse: dict[str, str]) -> Iterator[api.Fleet]:
        fleet = api.Fleet(self.fleet.settings.model_copy(update=warehouse))
        with closing(fleet.cloud):
            yield fleet

    @contextmanager
    def backend(self) -> Iterator[Any]:
        """Give a cursor of the database behind both warehouses."""
        url = self.redshift.server.backend_url
        with closing(psycopg2.connect(url, options="-c timezone=utc")) as session, session.cursor() as cursor:
            yield cursor

    def csv(self) -> str:
        """Copy the table to a CSV file; ``char`` loses its padding, as it does when it is cast to text."""
        body = io.BytesIO()
        names = ", ".join("code::text" if name == "code" else name for name in COLUMNS)
        with self.backend() as cursor:
            cursor.copy_expert(
                f"COPY (SELECT {names} FROM {self.table}) TO STDOUT (FORMAT csv, HEADER)", body
            )
        return self.put("flights.csv", body.getvalue())

    def parquet(self) -> str:
        """Copy the table to a Parquet file."""
        with self.backend() as cursor:
            cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM {self.table}")
            rows = cursor.fetchall()
        body = io.BytesIO()
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, kind) for column, (_, kind) in zip(columns, COLUMNS.values(), strict=True)]
        pq.write_table(pa.table(dict(zip(COLUMNS, arrays, strict=True))), body, row_group_size=500)
        return self.put("flights.parquet", body.getvalue())

    def put(self, key: str, body: bytes) -> str:
        self.redshift.s3.put_object(Bucket=self.redshift.bucket, Key=key, Body=body)
        return f"s3://{self.redshift.bucket}/{key}"

    def scores(self, fleet: api.Fleet, name: str, **asked: Any) -> list[tuple[Any, ...]]:
        """Score a source on the worker that runs, in several chunks, and give what was published."""
        output = f"{self.redshift.schema}.scores_{name}"
        job = fleet.predict(model=MODEL, id_column="id", output_table=output, chunk_rows=500, **asked)
        record = self.fleet.wait(job.id)
        assert record.state is JobState.SUCCEEDED, (name, record.reason)
        assert (record.rows_scored, record.rows_rejected) == (ROWS, 0)
        assert record.chunks > 3
        return self.redshift.seed(f"SELECT * FROM {output} ORDER BY id")


@pytest.fixture
def sources(fleet: Fleet, redshift: RedshiftPlace) -> Sources:
    types = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    redshift.sql(f"CREATE TABLE flights ({types})")
    redshift.seed(SEEDED)
    return Sources(fleet, redshift)


def test_postgresql_both_reads_of_redshift_csv_and_parquet_give_the_same_scores_row_for_row(
    sources: Sources,
) -> None:
    redshift_asked = {
        "select": {"table": sources.table, "read": "select"},
        "unload": {"table": sources.table, "read": "unload"},
        "csv": {"csv": sources.csv()},
        "parquet": {"parquet": sources.parquet()},
    }
    with sources.reached(sources.of_postgres) as fleet:
        trained = fleet.train(table=sources.table, target="late", name=MODEL, id_column="id")
        assert set(trained.manifest.feature_columns) == set(COLUMNS) - {"id", "late"}
        worker = sources.fleet.start_worker(**sources.of_postgres)
        expected = sources.scores(fleet, "postgres", table=sources.table)
        assert worker.stop() == 0
    assert [row[0] for row in expected] == list(range(1, ROWS + 1))
    assert len({row[2] for row in expected}) > ROWS / 10
    sources.fleet.start_worker(**sources.of_redshift)
    with sources.reached(sources.of_redshift) as fleet:
        for name, asked in redshift_asked.items():
            assert sources.scores(fleet, name, **asked) == expected, name
