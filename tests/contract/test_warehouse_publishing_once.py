"""One effect: whoever dies, comes late or comes twice, a job publishes once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from tests.contract.publications import LEDGER, counts, old_table, part, publication
from tests.contract.warehouse_place import BOTH, Place

from skfleet_common.contracts.errors import JobFailed, SkfleetError, TryAgain
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import Published
from skfleet_common.tables.sql import pulse as pulse_module


@BOTH
@pytest.mark.parametrize("run", [1, 2])
@pytest.mark.parametrize("if_exists", list(IfExists))
def test_the_same_job_publishes_once_whatever_its_run(place: Place, if_exists: IfExists, run: int) -> None:
    """A worker whose reply to COMMIT was lost, or a later run of the same job, asks again."""
    publish = place.publisher.publish
    assert publish(publication(place, rows=3, if_exists=if_exists), [part(0, 3)]).is_new
    again = publish(publication(place, rows=4, if_exists=if_exists, run=run), [part(0, 4)])
    assert again == Published(rows=3, is_new=False)
    assert counts(place) == [("late", 3, 3)]


def test_a_connection_that_breaks_while_loading_is_a_passing_fault(place: Place) -> None:
    old_table(place)

    def parts() -> Iterator[pa.RecordBatch]:
        yield part(0, 5)
        place.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'skfleet'",
            as_superuser=True,
        )
        yield part(5, 100_000)

    with pytest.raises(TryAgain):
        place.publisher.publish(publication(place, rows=100_000, if_exists=IfExists.REPLACE), parts())
    assert place.sql("SELECT prediction FROM scores") == [("old",)]


class NobodyWatches(SkfleetError):
    """What ``alive`` raises when the lease is gone."""


def test_a_pulse_that_nobody_watches_any_more_ends_by_itself_and_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error that a thread does not catch is a warning of pytest's, and so an error of this test."""
    monkeypatch.setattr(pulse_module, "PULSE_SECONDS", 0.01)
    beats = threading.Semaphore(0)

    def alive() -> None:
        beats.release()
        raise NobodyWatches

    with pulse_module.pulse(alive):
        assert beats.acquire(timeout=10)
    assert not beats.acquire(blocking=False)


@BOTH
def test_an_abandoned_run_never_publishes_and_a_later_run_does(place: Place) -> None:
    here = place.publisher
    table = publication(place, rows=5).table
    assert here.abandon(table, job="job-1", run=1)
    assert here.abandon(table, job="job-1", run=1)
    with pytest.raises(JobFailed, match="was given up before"):
        here.publish(publication(place, rows=5), [part(0, 5)])
    assert place.tables() == [LEDGER]
    assert here.publish(publication(place, rows=5, run=2), [part(0, 5)]).is_new
    assert counts(place) == [("late", 5, 5)]


@BOTH
def test_a_run_that_is_abandoned_while_it_loads_publishes_nothing(place: Place) -> None:
    here = place.publisher
    asked = publication(place, rows=10)

    def parts() -> Iterator[pa.RecordBatch]:
        yield part(0, 10)
        assert here.abandon(asked.table, job=asked.job, run=asked.run)

    with pytest.raises(JobFailed, match="was given up before"):
        here.publish(asked, parts())
    assert place.tables() == [LEDGER]


@BOTH
def test_a_job_that_has_published_is_not_abandoned(place: Place) -> None:
    here = place.publisher
    asked = publication(place, rows=5)
    assert here.publish(asked, [part(0, 5)]).is_new
    assert not here.abandon(asked.table, job=asked.job, run=2)
    assert place.sql(f"SELECT run, abandoned FROM {LEDGER}") == [(1, False)]


@BOTH
def test_a_job_that_published_while_another_worker_loaded_it_is_not_published_twice(place: Place) -> None:
    here = place.publisher
    asked = publication(place, rows=10)

    def parts() -> Iterator[pa.RecordBatch]:
        yield part(0, 10)
        assert here.publish(asked, [part(0, 10)]).is_new

    assert not here.publish(asked, parts()).is_new
    assert counts(place) == [("late", 10, 10)]
    assert place.tables() == ["scores", LEDGER]


def test_a_ledger_of_before_runs_could_be_abandoned_gets_the_column(place: Place) -> None:
    here = place.publisher
    assert here.publish(publication(place, rows=5), [part(0, 5)]).is_new
    place.sql(f"ALTER TABLE {LEDGER} DROP COLUMN abandoned")
    assert not here.publish(publication(place, rows=5), [part(0, 5)]).is_new
    assert here.abandon(publication(place, rows=5).table, job="job-2", run=1)


@BOTH
def test_two_publishers_of_one_job_have_one_effect(place: Place) -> None:
    """A redelivered message may be worked on twice at the same time."""
    place.sql("CREATE TABLE scores (id bigint, prediction text, proba float8)")
    asked = publication(place, rows=2_000, if_exists=IfExists.APPEND)
    together = threading.Barrier(4)
    answers: list[bool] = []

    def publish() -> None:
        together.wait()
        answers.append(place.publisher.publish(asked, [part(0, 1_000), part(1_000, 2_000)]).is_new)

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, False, False, True]
    assert counts(place) == [("late", 2_000, 2_000)]
