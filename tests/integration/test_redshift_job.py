"""A whole job on Redshift: planned, read, scored and published there, with the scores of PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn
from tests.conftest import eventually
from tests.contract.aws_emulator import new_settings
from tests.contract.warehouse_place import address_of
from tests.redshift.place import RedshiftPlace, redshift, redshift_and_certificate

from skfleet.api import Fleet
from skfleet_common.aws.session import create_fleet
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.states import JobState
from skfleet_common.settings import Settings

__all__ = ["redshift", "redshift_and_certificate"]

ROWS = 3_000


@pytest.fixture
def settings(aws_endpoint: str, redshift: RedshiftPlace) -> Settings:
    """A fleet of the test's own, whose warehouse is the Redshift."""
    given = new_settings(aws_endpoint).model_copy(
        update={"warehouse_url": address_of(redshift), "redshift_iam_role": redshift.iam_role}
    )
    create_fleet(given)
    redshift.seed(
        "SET ROLE fleet_owner; CREATE TABLE flights (id bigint, carrier varchar(2), code char(4), "
        "distance real, delay numeric(8,2), at timestamptz, night boolean, late boolean); "
        "INSERT INTO flights SELECT g, (ARRAY['AA', 'UA', 'b'])[1 + g % 3], 'c' || g % 5, 100.1 + g % 977, "
        "CASE WHEN g % 11 > 0 THEN g % 60 - 7.25 END, timestamptz '2013-01-01' + g * interval '7 minutes', "
        f"g % 4 = 0, (g * 7919) % 10 < 4 FROM generate_series(1, {ROWS}) g"
    )
    return given


@contextmanager
def worker(settings: Settings, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker of a fleet."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SKFLEET_", "AWS_"))}
    given = settings.model_dump(
        include={"fleet", "bucket", "aws_endpoint_url", "warehouse_url", "redshift_iam_role"},
        exclude_none=True,
    ) | {"cache_dir": folder, "scorers": 1, "poll_seconds": 1, "metadata_url": "off"}
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "skfleet_worker", "run"],
            env=clean | {f"SKFLEET_{name.upper()}": str(value) for name, value in given.items()},
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(40)


def scored(settings: Settings, folder: Path, *, table: str, output: str, split: str | None = None) -> None:
    folder.mkdir()
    fleet = Fleet(settings)
    with worker(settings, folder):
        job = fleet.predict(
            model="late",
            table=table,
            id_column="id",
            output_table=output,
            split_column=split,
            chunk_rows=500,
            where="night OR delay IS NULL OR carrier <> 'zz'",
        )

        def ended() -> JobRecord | None:
            record = fleet.cloud.tracker.job(job.id)
            return record if record.state.is_terminal else None

        record = eventually(ended, within_seconds=120)
    assert record is not None
    assert record.state is JobState.SUCCEEDED, record.reason


@pytest.mark.slow
def test_redshift_and_postgresql_give_the_same_scores(
    settings: Settings, redshift: RedshiftPlace, tmp_path: Path
) -> None:
    table, elsewhere = f"{redshift.schema}.flights", f"{redshift.schema}_scores"
    redshift.seed(f"CREATE SCHEMA {elsewhere} AUTHORIZATION fleet_owner")
    Fleet(settings).train(table=table, target="late", name="late", id_column="id")
    selected, carriers = f"{redshift.schema}.selected", f"{redshift.schema}.by_carrier"
    scored(settings, tmp_path / "selected", table=table, output=selected)
    scored(settings, tmp_path / "carriers", table=table, output=carriers, split="carrier")
    backend = parse_dsn(redshift.server.backend_url)
    user = "fleet_owner:not%20a%20secret"
    url = f"postgresql://{user}@{backend['host']}:{backend['port']}/{backend['dbname']}"
    postgres = settings.model_copy(update={"warehouse_url": url})
    scored(postgres, tmp_path / "postgres", table=table, output=f"{elsewhere}.scores")
    expected = redshift.seed(f"SELECT * FROM {elsewhere}.scores ORDER BY id")
    redshift.seed(f"DROP SCHEMA {elsewhere} CASCADE")
    assert len(expected) == ROWS
    for output in (selected, carriers):
        assert redshift.seed(f"SELECT * FROM {output} ORDER BY id") == expected
