"""What happens to Redshift while a job runs: one clear sentence, nothing lost, nothing half-published."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import eventually
from tests.contract.private_postgres import OWNER
from tests.integration.test_redshift_reading import ROWS, Reading, reading

from skfleet_common.contracts.states import JobState

__all__ = ["reading"]


@pytest.fixture
def midway(reading: Reading) -> Iterator[str]:
    """Give a job that selects, with some of its chunks committed and others to read; logins are restored."""
    accounts = dict(reading.redshift.server.accounts)
    reading.redshift.server.slow("^FETCH", 1.0, times=1_000)
    reading.start_worker(lease_seconds=6)
    job = reading.submit("select", chunk_rows=500)
    eventually(lambda: reading.fleet.cloud.tracker.commits(job, range(8)), within_seconds=90)
    yield job
    reading.redshift.server.accounts.update(accounts)


def test_a_table_that_is_dropped_while_it_is_read_fails_its_job_by_name(
    reading: Reading, midway: str
) -> None:
    reading.redshift.sql("DROP TABLE flights")
    record = reading.fleet.wait(midway, within_seconds=120)
    assert record.state is JobState.FAILED
    assert f"{reading.redshift.schema}.flights" in (record.reason or "")
    assert reading.redshift.tables() == []


def test_a_login_that_ends_while_a_job_runs_is_said_and_the_job_goes_on_with_the_next(
    reading: Reading, midway: str
) -> None:
    server = reading.redshift.server
    account = server.accounts[OWNER]
    server.expire(OWNER)
    server.kill_sessions()
    troubles = eventually(lambda: reading.skfleet.job(midway).status().troubles, within_seconds=90)
    assert "says that the password has expired; set a new one" in troubles[0].reason
    assert reading.redshift.seed("SELECT to_regclass('scores_select')") == [(None,)]
    server.accounts[OWNER] = account
    server.forgive()
    record = reading.fleet.wait(midway, within_seconds=180)
    assert record.state is JobState.SUCCEEDED, record.reason
    assert [row[0] for row in reading.scores("scores_select")] == list(range(1, ROWS + 1))
