"""Readers: a table is whole for whoever reads it while it is replaced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pyarrow as pa
import pytest
from tests.conftest import eventually
from tests.contract.publications import LEDGER, counts, old_table, part, publication
from tests.contract.warehouse_place import Place

from skfleet_common.contracts.errors import TryAgain
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.postgres import connect, publisher


def test_readers_see_the_old_table_or_the_new_one_and_nothing_between(place: Place) -> None:
    place.warehouse.publisher.publish(publication(place, rows=1_000, job="job-0"), [part(0, 1_000, "v0")])
    seen: set[tuple[str, int]] = set()
    wrong: list[object] = []
    done = threading.Event()

    def look() -> None:
        with closing(psycopg2.connect(place.server.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while not done.is_set():
                    cursor.execute(
                        f"SELECT min(prediction), max(prediction), count(*) FROM {place.schema}.scores"
                    )
                    low, high, rows = cursor.fetchone() or (None, None, None)
                    if low != high or rows != 1_000:
                        wrong.append((low, high, rows))
                    seen.add((low, rows))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(1, 6):
            eventually(lambda version=f"v{number - 1}": (version, 1_000) in seen)
            asked = publication(place, rows=1_000, if_exists=IfExists.REPLACE, job=f"job-{number}")
            place.warehouse.publisher.publish(
                asked, [part(0, 500, f"v{number}"), part(500, 1_000, f"v{number}")]
            )
        eventually(lambda: ("v5", 1_000) in seen)
    finally:
        done.set()
        reader.join()
    assert wrong == []


def test_a_reader_that_holds_the_old_table_cannot_hang_publishing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LOCK_SECONDS", 1)
    monkeypatch.setattr(publisher, "SWAP_PAUSE_SECONDS", 0)
    old_table(place)
    asked = publication(place, rows=5, if_exists=IfExists.REPLACE)
    with closing(psycopg2.connect(place.server.url)) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {place.schema}.scores")
        with pytest.raises(TryAgain, match="lock not available"):
            place.warehouse.publisher.publish(asked, [part(0, 5)])
        cursor.execute(f"SELECT prediction FROM {place.schema}.scores")
        assert cursor.fetchall() == [("old",)]
    assert place.warehouse.publisher.publish(asked, [part(0, 5)]).is_new
    assert counts(place) == [("late", 5, 5)]


def test_a_reader_that_lets_go_in_time_costs_no_second_load(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LOCK_SECONDS", 1)
    old_table(place)
    asked = publication(place, rows=10, if_exists=IfExists.REPLACE)
    with closing(psycopg2.connect(place.server.url)) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {place.schema}.scores")
        # The swap's pause comes after its first try has failed.
        monkeypatch.setattr(publisher.time, "sleep", lambda _seconds: holder.rollback())
        # An iterator: loading a second time would find it empty.
        assert place.warehouse.publisher.publish(asked, iter([part(0, 5), part(5, 10)])).is_new
    assert counts(place) == [("late", 10, 10)]
    assert place.tables() == ["scores", LEDGER]


def test_a_job_publishes_while_another_one_loads_for_the_same_table(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LOCK_SECONDS", 1)
    old_table(place)
    publish = place.warehouse.publisher.publish

    def parts() -> Iterator[pa.RecordBatch]:
        yield part(0, 5)
        assert publish(
            publication(place, rows=5, if_exists=IfExists.APPEND, job="quick"), [part(10, 15, "quick")]
        ).is_new
        yield part(5, 10)

    assert publish(publication(place, rows=10, if_exists=IfExists.APPEND, job="slow"), parts()).is_new
    assert counts(place) == [("late", 10, 10), ("old", 1, 1), ("quick", 5, 5)]
