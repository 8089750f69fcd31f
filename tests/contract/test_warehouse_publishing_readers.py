"""Readers: a table is whole for whoever reads it while it is replaced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pyarrow as pa
import pytest
from tests.conftest import eventually
from tests.contract.publications import LEDGER, Publishing, counts, old_table, part, publication, waiting
from tests.contract.warehouse_place import Place

from skfleet_common.contracts.errors import TryAgain
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import Published
from skfleet_common.tables.postgres import connect, publisher

#: Ways of asking the same, statement by statement.
WAYS = {
    "plain": ("{look} FROM scores",),
    "view": ("{look} FROM seen_twice",),
    "prepared": ("EXECUTE looking",),
    "function": ("SELECT * FROM looked()",),
    "older snapshot": ("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1", "{look} FROM scores", "COMMIT"),
}

LOOK = "SELECT min(prediction), max(prediction), count(*), sum(id)::bigint"


class Looker(threading.Thread):
    """A reader that asks in one way, over and over."""

    def __init__(self, place: Place, way: str) -> None:
        super().__init__(name=way)
        self.place = place
        self.seen: list[tuple[object, ...]] = []
        self.failure: Exception | None = None
        self.is_done = threading.Event()

    def run(self) -> None:
        options = f"-c search_path={self.place.schema}"
        with closing(psycopg2.connect(self.place.server.url, options=options)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"PREPARE looking AS {LOOK} FROM scores")
                while not self.is_done.is_set():
                    try:
                        self._look(cursor)
                    except psycopg2.Error as exc:
                        self.failure = exc
                        return

    def _look(self, cursor: psycopg2.extensions.cursor) -> None:
        for statement in WAYS[self.name]:
            cursor.execute(statement.format(look=LOOK))
            if cursor.description is not None and len(cursor.description) > 1:
                self.seen.append(cursor.fetchone() or ())


def test_readers_of_every_kind_see_the_old_table_or_the_new_one_and_nothing_between(place: Place) -> None:
    publish = place.publisher.publish
    publish(publication(place, rows=1_000, job="job-0"), [part(0, 1_000, "v0")])
    place.sql(
        "CREATE VIEW seen AS SELECT * FROM scores; CREATE VIEW seen_twice AS SELECT * FROM seen; "
        "CREATE INDEX by_prediction ON scores (prediction, id); "
        "CREATE FUNCTION looked(OUT a text, OUT b text, OUT c bigint, OUT d bigint) STABLE LANGUAGE plpgsql "
        f"AS 'BEGIN {LOOK} INTO a, b, c, d FROM scores; END'"
    )
    lookers = [Looker(place, way) for way in WAYS]
    whole = {f"v{number}": (f"v{number}", f"v{number}", 1_000, sum(range(1_000))) for number in range(6)}
    for looker in lookers:
        looker.start()
    try:
        for number in range(1, 6):
            asked = publication(
                place, rows=1_000, if_exists=IfExists.REPLACE, job=f"job-{number}", cascade_views=True
            )
            assert publish(asked, [part(0, 500, f"v{number}"), part(500, 1_000, f"v{number}")]).is_new
            eventually(
                lambda number=number: all(
                    looker.failure or whole[f"v{number}"] in looker.seen[-2:] for looker in lookers
                )
            )
    finally:
        for looker in lookers:
            looker.is_done.set()
        for looker in lookers:
            looker.join()
    assert {looker.name: looker.failure for looker in lookers} == dict.fromkeys(WAYS)
    assert {answer for looker in lookers for answer in looker.seen} <= set(whole.values())


def test_a_reader_whose_snapshot_is_older_than_the_swap_sees_the_whole_new_table(place: Place) -> None:
    """Not an empty one: its name leads to the new table, whose rows it would not be allowed to see."""
    old_table(place)
    with closing(psycopg2.connect(place.server.url)) as reader, reader.cursor() as cursor:
        reader.set_session(isolation_level="REPEATABLE READ")
        cursor.execute("SELECT 1")
        place.publisher.publish(publication(place, rows=10, if_exists=IfExists.REPLACE), [part(0, 10)])
        cursor.execute(f"SELECT count(*) FROM {place.schema}.scores")
        assert cursor.fetchall() == [(10,)]


def test_a_statement_that_waited_for_the_swap_sees_the_whole_new_table(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EXECUTE takes its snapshot before it waits, and learns after that which table it is about."""
    monkeypatch.setattr(publisher, "SWAP_TRIES", 1)
    old_table(place)
    options = f"-c search_path={place.schema}"
    with (
        closing(psycopg2.connect(place.server.url, options=options)) as reader,
        closing(psycopg2.connect(place.server.url, options=options)) as holder,
        reader.cursor() as cursor,
        holder.cursor() as holding,
    ):
        reader.autocommit = True
        cursor.execute("PREPARE q AS SELECT count(*) FROM scores; EXECUTE q")
        seen: list[object] = []

        def read() -> None:
            cursor.execute("EXECUTE q")
            seen.extend(cursor.fetchall())

        holding.execute("SELECT FROM scores")
        reading = threading.Thread(target=read)
        with Publishing(place, publication(place, rows=10, if_exists=IfExists.REPLACE)) as publishing:
            eventually(lambda: waiting(place, "relation"))
            reading.start()
            eventually(lambda: place.sql("SELECT 1 FROM pg_stat_activity WHERE query = 'EXECUTE q' "
                                         "AND wait_event_type = 'Lock'"))  # fmt: skip
            holder.rollback()
        reading.join()
    assert publishing.outcome == Published(rows=10, is_new=True)
    assert seen == [(10,)]


def test_a_reader_that_locks_in_another_order_is_not_the_victim_of_a_deadlock(place: Place) -> None:
    old_table(place)
    place.sql("CREATE VIEW seen AS SELECT * FROM scores")
    asked = publication(place, rows=10, if_exists=IfExists.REPLACE, cascade_views=True)
    with closing(psycopg2.connect(place.server.url)) as reader, reader.cursor() as cursor:
        cursor.execute(f"SELECT prediction FROM {place.schema}.scores")
        # The server looks for deadlocks when somebody has waited for a second.
        cursor.execute("SET lock_timeout = '900ms'")
        with Publishing(place, asked) as publishing:
            eventually(lambda: waiting(place, "relation"))  # it has locked the view
            cursor.execute(f"SELECT prediction FROM {place.schema}.seen")
            assert cursor.fetchall() == [("old",)]
            reader.rollback()
    assert publishing.outcome == Published(rows=10, is_new=True)


def test_a_reader_that_holds_the_old_table_cannot_hang_publishing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LOCK_SECONDS", 1)
    monkeypatch.setattr(publisher, "SWAP_TRIES", 2)
    old_table(place)
    asked = publication(place, rows=5, if_exists=IfExists.REPLACE)
    with closing(psycopg2.connect(place.server.url)) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {place.schema}.scores")
        with pytest.raises(TryAgain, match="lock not available"):
            place.publisher.publish(asked, [part(0, 5)])
        cursor.execute(f"SELECT prediction FROM {place.schema}.scores")
        assert cursor.fetchall() == [("old",)]
    assert place.publisher.publish(asked, [part(0, 5)]).is_new
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
        assert place.publisher.publish(asked, iter([part(0, 5), part(5, 10)])).is_new
    assert counts(place) == [("late", 10, 10)]
    assert place.tables() == ["scores", LEDGER]


def test_a_job_publishes_while_another_one_loads_for_the_same_table(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LOCK_SECONDS", 1)
    old_table(place)
    publish = place.publisher.publish

    def parts() -> Iterator[pa.RecordBatch]:
        yield part(0, 5)
        assert publish(
            publication(place, rows=5, if_exists=IfExists.APPEND, job="quick"), [part(10, 15, "quick")]
        ).is_new
        yield part(5, 10)

    assert publish(publication(place, rows=10, if_exists=IfExists.APPEND, job="slow"), parts()).is_new
    assert counts(place) == [("late", 10, 10), ("old", 1, 1), ("quick", 5, 5)]
