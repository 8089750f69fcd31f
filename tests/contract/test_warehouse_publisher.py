"""Publishing: all of the output or none of it, once, and readers that notice nothing."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing

import psycopg2
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import eventually
from tests.contract.warehouse_place import Place

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import JobFailed, Refused, SkfleetError, TryAgain
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres import connect, publisher

COLUMNS = (
    OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),
    OutputColumn(name="prediction", warehouse_type="text", source="prediction"),
    OutputColumn(name="proba", warehouse_type="double precision", source="probability"),
)

LEDGER = "skfleet_publications"


def publication(
    place: Place, *, rows: int, if_exists: IfExists = IfExists.FAIL, job: str = "job-1", run: int = 1,
    columns: tuple[OutputColumn, ...] = COLUMNS, name: str = "scores",
) -> Publication:  # fmt: skip
    table = TableName(schema_name=place.schema, name=name)
    return Publication(job=job, run=run, table=table, columns=columns, if_exists=if_exists, rows=rows)


def part(first: int, stop: int, prediction: str = "late") -> pa.RecordBatch:
    """Rows as a worker writes them: ids are text, outputs are typed."""
    return pa.RecordBatch.from_pydict(
        {
            "id": pa.array([str(number) for number in range(first, stop)]),
            "prediction": pa.array([prediction] * (stop - first)),
            "proba": pa.array([1 / (number + 3) for number in range(first, stop)], pa.float64()),
        }
    )


def counts(place: Place) -> list[tuple[object, ...]]:
    return place.sql("SELECT prediction, count(*), count(DISTINCT id) FROM scores GROUP BY 1 ORDER BY 1")


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_a_new_output_holds_exactly_the_parts(place: Place, if_exists: IfExists) -> None:
    assert place.warehouse.publisher.publish(
        publication(place, rows=50_000, if_exists=if_exists), [part(0, 10), part(10, 50_000)]
    )
    assert counts(place) == [("late", 50_000, 50_000)]
    assert place.sql("SELECT id FROM scores WHERE proba <> 1 / (id + 3)::float8") == []
    assert place.tables() == ["scores", LEDGER]
    assert place.sql(f'SELECT job, run, "table", rows FROM {LEDGER}') == [("job-1", 1, "scores", 50_000)]
    types = place.sql(
        "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
        "WHERE attrelid = 'scores'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert types == [
        ("id", "bigint", True),
        ("prediction", "text", False),
        ("proba", "double precision", False),
    ]


def test_an_output_of_no_rows_is_an_empty_table(place: Place) -> None:
    assert place.warehouse.publisher.publish(publication(place, rows=0), [])
    assert counts(place) == []


@pytest.mark.parametrize("run", [1, 2])
@pytest.mark.parametrize("if_exists", list(IfExists))
def test_the_same_job_publishes_once_whatever_its_run(place: Place, if_exists: IfExists, run: int) -> None:
    """A worker whose reply to COMMIT was lost, or a later run of the same job, asks again."""
    publish = place.warehouse.publisher.publish
    assert publish(publication(place, rows=3, if_exists=if_exists), [part(0, 3)])
    assert not publish(publication(place, rows=3, if_exists=if_exists, run=run), [part(0, 3)])
    assert counts(place) == [("late", 3, 3)]


def test_append_adds_to_what_is_there_by_column_name(place: Place) -> None:
    place.sql(
        "CREATE TABLE scores (note text DEFAULT 'n', proba float8, prediction text, id bigint); "
        "INSERT INTO scores VALUES ('old', 1, 'early', -1)"
    )
    publish = place.warehouse.publisher.publish
    assert publish(publication(place, rows=5, if_exists=IfExists.APPEND), [part(0, 5)])
    assert publish(publication(place, rows=5, if_exists=IfExists.APPEND, job="job-2"), [part(5, 10)])
    assert counts(place) == [("early", 1, 1), ("late", 10, 10)]
    assert place.sql("SELECT count(*) FROM scores WHERE note = 'n'") == [(10,)]
    assert place.tables() == ["scores", LEDGER]


def test_replace_puts_the_new_table_in_the_place_of_the_old(place: Place) -> None:
    place.sql("CREATE TABLE scores (something text); INSERT INTO scores VALUES ('else')")
    place.sql(
        "GRANT SELECT ON scores TO PUBLIC; GRANT INSERT, UPDATE ON scores TO pg_monitor WITH GRANT OPTION"
    )
    grants = "SELECT unnest(relacl)::text FROM pg_class WHERE oid = 'scores'::regclass ORDER BY 1"
    before = place.sql(grants)
    assert place.warehouse.publisher.publish(
        publication(place, rows=5, if_exists=IfExists.REPLACE), [part(0, 5)]
    )
    assert counts(place) == [("late", 5, 5)]
    assert place.sql(grants) == before
    assert place.tables() == ["scores", LEDGER]


def test_names_with_quotes_spaces_and_sql_in_them(place: Place) -> None:
    odd = 'My "scores"; DROP TABLE %s {} -- é'
    columns = (OutputColumn(name=odd, warehouse_type="text", source="carried"),)
    batch = pa.RecordBatch.from_pydict({odd: ["x"]})
    for if_exists in (IfExists.FAIL, IfExists.APPEND, IfExists.REPLACE):
        asked = publication(place, rows=1, columns=columns, name=odd, if_exists=if_exists, job=if_exists)
        assert place.warehouse.publisher.publish(asked, [batch])
    assert place.tables() == [odd, LEDGER]


def old_table(place: Place) -> None:
    place.sql(
        "CREATE TABLE scores (id bigint, prediction text, proba float8); "
        "INSERT INTO scores VALUES (-1, 'old', 0)"
    )


def breaking(rows: int) -> Iterator[pa.RecordBatch]:
    yield part(0, rows)
    raise TryAgain("The store does not answer; try again.")


@pytest.mark.parametrize("if_exists", [IfExists.APPEND, IfExists.REPLACE])
@pytest.mark.parametrize(
    ("parts", "error", "reason"),
    [
        ([part(0, 5)], JobFailed, "has 5 rows where 10 were scored"),
        ([part(0, 11)], JobFailed, "has 11 rows where 10 were scored"),
        (breaking(10), TryAgain, "The store does not answer"),
        ([part(0, 9), pa.RecordBatch.from_pydict({"id": ["private"], "prediction": ["x"], "proba": [0.5]})],
         Refused, "invalid text representation"),
        ([part(0, 9), pa.RecordBatch.from_pydict({"id": pa.nulls(1, pa.string()), "prediction": ["private"],
                                                  "proba": [0.5]})], Refused, "not null violation"),
    ],
)  # fmt: skip
def test_a_failure_leaves_the_old_table_as_it_was(
    place: Place, if_exists: IfExists, parts: Iterable[pa.RecordBatch], error: type[SkfleetError], reason: str
) -> None:
    old_table(place)
    parts = breaking(10) if error is TryAgain else parts
    with pytest.raises(error, match=reason) as failure:
        place.warehouse.publisher.publish(publication(place, rows=10, if_exists=if_exists), parts)
    assert "private" not in str(failure.value)
    assert place.sql("SELECT * FROM scores") == [(-1, "old", 0.0)]
    assert place.sql(f"SELECT * FROM {LEDGER}") == []
    assert place.tables() == ["scores", LEDGER]


def interfering(place: Place, statement: str) -> Iterator[pa.RecordBatch]:
    """Do something in the target's schema after the publisher has looked, and before it swaps."""
    yield part(0, 5)
    place.sql(statement)
    yield part(5, 10)


def test_a_table_that_comes_to_exist_meanwhile_is_not_overwritten(place: Place) -> None:
    with pytest.raises(Refused, match="has come to exist"):
        place.warehouse.publisher.publish(
            publication(place, rows=10), interfering(place, "CREATE TABLE scores AS SELECT 'mine' AS a")
        )
    assert place.sql("SELECT a FROM scores") == [("mine",)]


def test_a_view_that_comes_to_depend_on_the_old_table_keeps_it(place: Place) -> None:
    old_table(place)
    with pytest.raises(Refused, match="has come to depend on it"):
        place.warehouse.publisher.publish(
            publication(place, rows=10, if_exists=IfExists.REPLACE),
            interfering(place, "CREATE VIEW seen AS SELECT * FROM scores"),
        )
    assert place.sql("SELECT prediction FROM seen") == [("old",)]


def test_a_table_to_append_to_that_is_dropped_meanwhile_is_made_anew(place: Place) -> None:
    old_table(place)
    assert place.warehouse.publisher.publish(
        publication(place, rows=10, if_exists=IfExists.APPEND), interfering(place, "DROP TABLE scores")
    )
    assert counts(place) == [("late", 10, 10)]


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
        place.warehouse.publisher.publish(
            publication(place, rows=100_000, if_exists=IfExists.REPLACE), parts()
        )
    assert place.sql("SELECT prediction FROM scores") == [("old",)]


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
    assert place.warehouse.publisher.publish(asked, [part(0, 5)])
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
        assert place.warehouse.publisher.publish(asked, iter([part(0, 5), part(5, 10)]))
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
        )
        yield part(5, 10)

    assert publish(publication(place, rows=10, if_exists=IfExists.APPEND, job="slow"), parts())
    assert counts(place) == [("late", 10, 10), ("old", 1, 1), ("quick", 5, 5)]


def test_an_abandoned_run_never_publishes_and_a_later_run_does(place: Place) -> None:
    here = place.warehouse.publisher
    table = publication(place, rows=5).table
    assert here.abandon(table, job="job-1", run=1)
    assert here.abandon(table, job="job-1", run=1)
    with pytest.raises(JobFailed, match="was given up before"):
        here.publish(publication(place, rows=5), [part(0, 5)])
    assert place.tables() == [LEDGER]
    assert here.publish(publication(place, rows=5, run=2), [part(0, 5)])
    assert counts(place) == [("late", 5, 5)]


def test_a_run_that_is_abandoned_while_it_loads_publishes_nothing(place: Place) -> None:
    here = place.warehouse.publisher
    asked = publication(place, rows=10)

    def parts() -> Iterator[pa.RecordBatch]:
        yield part(0, 10)
        assert here.abandon(asked.table, job=asked.job, run=asked.run)

    with pytest.raises(JobFailed, match="was given up before"):
        here.publish(asked, parts())
    assert place.tables() == [LEDGER]


def test_a_job_that_has_published_is_not_abandoned(place: Place) -> None:
    here = place.warehouse.publisher
    asked = publication(place, rows=5)
    assert here.publish(asked, [part(0, 5)])
    assert not here.abandon(asked.table, job=asked.job, run=2)
    assert place.sql(f"SELECT run, abandoned FROM {LEDGER}") == [(1, False)]


def test_a_job_that_published_while_another_worker_loaded_it_is_not_published_twice(place: Place) -> None:
    here = place.warehouse.publisher
    asked = publication(place, rows=10)

    def parts() -> Iterator[pa.RecordBatch]:
        yield part(0, 10)
        assert here.publish(asked, [part(0, 10)])

    assert not here.publish(asked, parts())
    assert counts(place) == [("late", 10, 10)]
    assert place.tables() == ["scores", LEDGER]


def test_a_ledger_of_before_runs_could_be_abandoned_gets_the_column(place: Place) -> None:
    here = place.warehouse.publisher
    assert here.publish(publication(place, rows=5), [part(0, 5)])
    place.sql(f"ALTER TABLE {LEDGER} DROP COLUMN abandoned")
    assert not here.publish(publication(place, rows=5), [part(0, 5)])
    assert here.abandon(publication(place, rows=5).table, job="job-2", run=1)


def test_two_publishers_of_one_job_have_one_effect(place: Place) -> None:
    """A redelivered message may be worked on twice at the same time."""
    place.sql("CREATE TABLE scores (id bigint, prediction text, proba float8)")
    asked = publication(place, rows=2_000, if_exists=IfExists.APPEND)
    together = threading.Barrier(4)
    answers: list[object] = []

    def publish() -> None:
        together.wait()
        answers.append(place.warehouse.publisher.publish(asked, [part(0, 1_000), part(1_000, 2_000)]))

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, answers)) == ["False", "False", "False", "True"]
    assert counts(place) == [("late", 2_000, 2_000)]


def test_an_existing_output_is_refused_again_at_publishing(place: Place) -> None:
    old_table(place)
    with pytest.raises(Refused, match="exists already"):
        place.warehouse.publisher.publish(publication(place, rows=5), [part(0, 5)])
    assert place.sql("SELECT prediction FROM scores") == [("old",)]


TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
) | st.sampled_from(
    ["", "\\N", "\\.", "a\n\\.\nb", "\r\n", '"', '""', ",", "NULL", " ", "\t", "\\", "'", "é日😀", "\ufeff"]
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.none() | TEXTS, st.none() | st.floats(), st.none() | st.booleans()), max_size=40)
)
def test_every_text_and_every_double_arrives_exactly(
    place: Place, rows: list[tuple[str | None, float | None, bool | None]]
) -> None:
    columns = (
        OutputColumn(name="at", warehouse_type="bigint", source="id"),
        OutputColumn(name="text", warehouse_type="text", source="carried"),
        OutputColumn(name="double", warehouse_type="double precision", source="probability"),
        OutputColumn(name="flag", warehouse_type="boolean", source="prediction"),
    )
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([str(at) for at in range(len(rows))], pa.string()),
            pa.array([text for text, _, _ in rows], pa.string()),
            pa.array([double for _, double, _ in rows], pa.float64()),
            pa.array([flag for _, _, flag in rows], pa.bool_()),
        ],
        names=["at", "text", "double", "flag"],
    )
    place.sql(f"DROP TABLE IF EXISTS scores, {LEDGER}")
    place.warehouse.publisher.publish(publication(place, rows=len(rows), columns=columns), [batch])
    back = place.sql("SELECT text, double, flag FROM scores ORDER BY at")
    assert [(text, bits(double), flag) for text, double, flag in back] == [
        (text, bits(double), flag) for text, double, flag in rows
    ]


def bits(value: float | None) -> bytes | None:
    """Tell -0.0 from 0.0, and take every NaN for the same."""
    return None if value is None else b"nan" if value != value else struct.pack("d", value)  # noqa: PLR0124


def test_a_column_that_holds_nothing_but_null(place: Place) -> None:
    columns = (OutputColumn(name="a", warehouse_type="text", source="carried"),)
    batch = pa.RecordBatch.from_pydict({"a": pa.array([None, "", None, "x"], pa.string())})
    place.warehouse.publisher.publish(publication(place, rows=4, columns=columns), [batch])
    assert place.sql("SELECT a FROM scores ORDER BY a NULLS LAST") == [("",), ("x",), (None,), (None,)]
