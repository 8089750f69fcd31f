"""A publisher may die anywhere: the old table stays until the new one is there, and one call settles it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from tests.conftest import eventually
from tests.contract.killable_publisher import TRY_AGAIN
from tests.contract.publications import LEDGER, REPLACEMENT, counts, part
from tests.contract.warehouse_place import Place

from skfleet_common.contracts.chunks import TableName
from skfleet_common.tables.port import Publication, Published

ROOT = Path(__file__).resolve().parents[2]

#: What the test holds so that a publisher waits at each point, and the statement at which it waits.
HELD = {
    "loading": ("SELECT", "COPY%"),
    "swapping": ("SELECT FROM scores", "LOCK TABLE%"),
    "recording": (f"LOCK TABLE {LEDGER} IN SHARE MODE", f"INSERT INTO%{LEDGER}%"),
    "committing": ("SELECT pg_advisory_xact_lock(4712)", "COMMIT%"),
}


@contextmanager
def publishing(place: Place, *, idle_seconds: int = 60) -> Iterator[subprocess.Popen[str]]:
    """Start a publisher that replaces a table; it waits while it loads."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.killable_publisher", place.server.url, place.schema,
         str(idle_seconds)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ),
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "loading\n"
            yield process
        finally:
            process.kill()


@contextmanager
def held_at(place: Place, point: str, process: subprocess.Popen[str]) -> Iterator[int]:
    """Let a publisher come to a point and no further; give its server process."""
    statement, waits_in = HELD[point]
    options = f"-c search_path={place.schema}"
    with closing(psycopg2.connect(place.server.url, options=options)) as holder, holder.cursor() as cursor:
        cursor.execute(statement)
        if point != "loading":
            assert process.stdin is not None
            process.stdin.write("go on\n")
            process.stdin.flush()
        ((pid,),) = eventually(
            lambda: place.sql(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'skfleet' AND state = 'active' "
                f"AND query LIKE '{waits_in}' AND wait_event_type IN ('Lock', 'Client')"
            )
        )
        yield pid


@pytest.fixture
def replaced(place: Place) -> Place:
    """A place with a published table of three rows, and a ledger that can hold a COMMIT up."""
    table = TableName(schema_name=place.schema, name="scores")
    first = Publication(**REPLACEMENT | {"job": "before", "rows": 3}, table=table)
    place.publisher.publish(first, [part(0, 3, "old")])
    place.sql(
        "CREATE INDEX by_prediction ON scores (prediction); "
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 "
        "AS 'BEGIN PERFORM pg_advisory_xact_lock(4712); RETURN NULL; END'; "
        f"CREATE CONSTRAINT TRIGGER held AFTER INSERT ON {LEDGER} DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION hold()"
    )
    return place


def servers_of(place: Place) -> list[tuple[int]]:
    return place.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'skfleet'")


def assert_one_effect(place: Place, *, was_published: bool) -> None:
    """Publish once more, and see that it has happened once."""
    assert counts(place) == ([("late", 10, 10)] if was_published else [("old", 3, 3)])
    table = TableName(schema_name=place.schema, name="scores")
    again = place.publisher.publish(Publication(table=table, **REPLACEMENT), [part(0, 10)])
    assert again == Published(rows=10, is_new=not was_published)
    assert counts(place) == [("late", 10, 10)]
    assert place.tables() == ["scores", LEDGER]
    assert place.sql(f"SELECT job, rows FROM {LEDGER} ORDER BY 1") == [("before", 3), ("job-1", 10)]
    indexes = "SELECT relname::text FROM pg_class WHERE relkind = 'i' AND relname LIKE '%skfleet_staging%'"
    assert place.sql(indexes) == []


@pytest.mark.parametrize("point", HELD)
def test_a_publisher_that_is_killed_has_published_all_or_nothing(replaced: Place, point: str) -> None:
    with publishing(replaced) as process:
        with held_at(replaced, point, process):
            process.kill()
            process.wait()
        eventually(lambda: not servers_of(replaced))
    # A COMMIT that has reached the server takes effect, though nobody is left to hear of it.
    assert_one_effect(replaced, was_published=point == "committing")


@pytest.mark.parametrize("point", HELD)
def test_a_publisher_that_loses_its_connection_has_published_nothing(replaced: Place, point: str) -> None:
    with publishing(replaced) as process:
        with held_at(replaced, point, process) as server:
            replaced.sql(f"SELECT pg_terminate_backend({server})")
            if point == "loading":
                assert process.stdin is not None
                process.stdin.write("go on\n")
                process.stdin.flush()
            assert process.wait(timeout=30) == TRY_AGAIN
        eventually(lambda: not servers_of(replaced))
    assert_one_effect(replaced, was_published=False)


def test_a_publisher_that_freezes_in_the_swap_keeps_readers_waiting_for_a_bounded_time(
    replaced: Place,
) -> None:
    with publishing(replaced, idle_seconds=1) as process:
        with held_at(replaced, "recording", process):
            process.send_signal(signal.SIGSTOP)
        # It holds the lock on the table, with no statement that could time out.
        assert counts(replaced) == [("old", 3, 3)]
        assert servers_of(replaced) == []
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=30) == TRY_AGAIN
    assert_one_effect(replaced, was_published=False)
