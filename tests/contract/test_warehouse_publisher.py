"""Publishing: all of the output or none of it, exactly, by any name."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.publications import LEDGER, counts, interfering, old_table, part, publication
from tests.contract.warehouse_place import BOTH, Place

from skfleet_common.contracts.errors import JobFailed, Refused, SkfleetError, TryAgain
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.postgres import outputs


@BOTH
@pytest.mark.parametrize("if_exists", list(IfExists))
def test_a_new_output_holds_exactly_the_parts(place: Place, if_exists: IfExists) -> None:
    assert place.publisher.publish(
        publication(place, rows=50_000, if_exists=if_exists), [part(0, 10), part(10, 50_000)]
    ).is_new
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
        ("prediction", place.text, False),
        ("proba", "double precision", False),
    ]


@BOTH
def test_an_output_of_no_rows_is_an_empty_table(place: Place) -> None:
    assert place.publisher.publish(publication(place, rows=0), []).is_new
    assert counts(place) == []


@BOTH
def test_append_adds_to_what_is_there_by_column_name(place: Place) -> None:
    place.sql(
        "CREATE TABLE scores (note text DEFAULT 'n', proba float8, prediction text, id bigint); "
        "INSERT INTO scores VALUES ('old', 1, 'early', -1)"
    )
    publish = place.publisher.publish
    assert publish(publication(place, rows=5, if_exists=IfExists.APPEND), [part(0, 5)]).is_new
    assert publish(publication(place, rows=5, if_exists=IfExists.APPEND, job="job-2"), [part(5, 10)]).is_new
    assert counts(place) == [("early", 1, 1), ("late", 10, 10)]
    assert place.sql("SELECT count(*) FROM scores WHERE note = 'n'") == [(10,)]
    assert place.tables() == ["scores", LEDGER]


@BOTH
def test_names_with_quotes_spaces_and_sql_in_them(place: Place) -> None:
    odd = 'My "scores"; DROP TABLE %s {} -- é'
    columns = (OutputColumn(name=odd, warehouse_type="text", source="carried"),)
    batch = pa.RecordBatch.from_pydict({odd: ["x"]})
    for if_exists in (IfExists.FAIL, IfExists.APPEND, IfExists.REPLACE):
        asked = publication(place, rows=1, columns=columns, name=odd, if_exists=if_exists, job=if_exists)
        assert place.publisher.publish(asked, [batch]).is_new
    assert place.tables() == [odd, LEDGER]


def breaking(rows: int) -> Iterator[pa.RecordBatch]:
    yield part(0, rows)
    raise TryAgain("The store does not answer; try again.")


@BOTH
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
        place.publisher.publish(publication(place, rows=10, if_exists=if_exists), parts)
    assert "private" not in str(failure.value)
    assert place.sql("SELECT * FROM scores") == [(-1, "old", 0.0)]
    assert place.sql(f"SELECT * FROM {LEDGER}") == []
    assert place.tables() == ["scores", LEDGER]


@BOTH
def test_a_table_that_comes_to_exist_meanwhile_is_not_overwritten(place: Place) -> None:
    with pytest.raises(Refused, match="has come to exist"):
        place.publisher.publish(
            publication(place, rows=10), interfering(place, "CREATE TABLE scores AS SELECT 'mine' AS a")
        )
    assert place.sql("SELECT a FROM scores") == [("mine",)]


@BOTH
def test_a_table_to_append_to_that_is_dropped_meanwhile_is_made_anew(place: Place) -> None:
    old_table(place)
    assert place.publisher.publish(
        publication(place, rows=10, if_exists=IfExists.APPEND), interfering(place, "DROP TABLE scores")
    ).is_new
    assert counts(place) == [("late", 10, 10)]


def test_a_column_that_changes_its_type_while_the_job_loads_is_not_filled_with_rounded_values(
    place: Place,
) -> None:
    old_table(place)
    asked = publication(place, rows=10, if_exists=IfExists.APPEND)
    with pytest.raises(Refused, match="has proba as integer, but the output has double precision"):
        place.publisher.publish(
            asked, interfering(place, "ALTER TABLE scores ALTER COLUMN proba TYPE integer")
        )
    assert place.sql("SELECT id FROM scores") == [(-1,)]


SKIPS = (
    "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN IF NEW.id % 2 = 0 THEN RETURN NULL; END IF; RETURN NEW; END';"
)
SKIPPING = SKIPS + "CREATE TRIGGER skipping BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION skip();"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (SKIPPING.format("scores"), "has trigger skipping on table .*scores, which may change or drop rows"),
        ("CREATE RULE nope AS ON INSERT TO scores DO INSTEAD NOTHING", "has rule nope on table"),
        (
            "DROP TABLE scores; CREATE TABLE scores (id bigint, prediction text, proba float8) "
            "PARTITION BY RANGE (id); CREATE TABLE a PARTITION OF scores DEFAULT;" + SKIPPING.format("a"),
            "has trigger skipping on table .*a, which",
        ),
    ],
)
def test_a_table_that_may_drop_rows_on_their_way_in_is_refused_early_and_late(
    place: Place, made: str, said: str
) -> None:
    old_table(place)
    place.sql(made)
    asked = publication(place, rows=10, if_exists=IfExists.APPEND)
    with pytest.raises(Refused, match=said):
        place.warehouse.catalogue.check_output(asked.table, asked.columns, if_exists=IfExists.APPEND)
    with pytest.raises(Refused, match=said):
        place.publisher.publish(asked, [part(0, 10)])
    assert place.sql(f"SELECT * FROM {LEDGER}") == []


def test_triggers_that_no_insert_of_a_publication_fires_are_no_obstacle(place: Place) -> None:
    old_table(place)
    place.sql(
        SKIPPING.format("scores")
        + "ALTER TABLE scores DISABLE TRIGGER skipping;"
        + "CREATE TRIGGER later BEFORE UPDATE ON scores FOR EACH ROW EXECUTE FUNCTION skip()"
    )
    asked = publication(place, rows=10, if_exists=IfExists.APPEND)
    assert place.publisher.publish(asked, [part(0, 10)]).is_new
    assert counts(place) == [("late", 10, 10), ("old", 1, 1)]


def test_an_append_that_takes_fewer_rows_than_were_scored_is_not_recorded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever drops them: here a trigger that the look at the table is made not to see."""
    old_table(place)
    place.sql(SKIPPING.format("scores"))
    monkeypatch.setattr(outputs, "_ON_INSERT", "SELECT 'nothing' WHERE false AND %(oid)s > 0")
    asked = publication(place, rows=10, if_exists=IfExists.APPEND)
    with pytest.raises(JobFailed, match=r"took 5 of 10 rows, so nothing was appended.*skfleet retry job-1"):
        place.publisher.publish(asked, [part(0, 10)])
    assert place.sql("SELECT id FROM scores") == [(-1,)]
    assert place.sql(f"SELECT * FROM {LEDGER}") == []


@pytest.mark.parametrize(
    "made", ["TYPE scores AS ENUM ('a')", "DOMAIN scores AS text", "TYPE scores AS RANGE (subtype = int)"]
)
def test_a_type_with_the_outputs_name_is_refused_before_anything_is_scored(place: Place, made: str) -> None:
    place.sql(f"CREATE {made}")
    asked = publication(place, rows=10)
    with pytest.raises(Refused, match=r"scores cannot be made, because a type has that name; drop the type"):
        place.warehouse.catalogue.check_output(asked.table, asked.columns, if_exists=IfExists.FAIL)


def test_the_array_type_of_another_table_makes_way_for_an_output(place: Place) -> None:
    old_table(place)
    asked = publication(place, rows=10, name="_scores")
    place.warehouse.catalogue.check_output(asked.table, asked.columns, if_exists=IfExists.FAIL)
    assert place.publisher.publish(asked, [part(0, 10)]).is_new


@BOTH
def test_an_existing_output_is_refused_again_at_publishing(place: Place) -> None:
    old_table(place)
    with pytest.raises(Refused, match="exists already"):
        place.publisher.publish(publication(place, rows=5), [part(0, 5)])
    assert place.sql("SELECT prediction FROM scores") == [("old",)]


@BOTH
@pytest.mark.parametrize("if_exists", list(IfExists))
@pytest.mark.parametrize(
    ("id_columns", "said"),
    [
        (("id",), r"has 3 ids \(id\) that stand on more than one row, one of them on 3"),
        (
            ("id", "prediction"),
            r"has 1 ids \(id, prediction\) that stand on more than one row, one of them on 2",
        ),
    ],
)
def test_an_output_in_which_ids_repeat_is_not_published(
    place: Place, if_exists: IfExists, id_columns: tuple[str, ...], said: str
) -> None:
    if if_exists is not IfExists.FAIL:
        old_table(place)
    parts = [part(0, 10), part(3, 5, "x"), part(7, 8, "y"), part(7, 8, "y")]
    asked = publication(place, rows=14, if_exists=if_exists, id_columns=id_columns)
    with pytest.raises(JobFailed, match=said):
        place.publisher.publish(asked, parts)
    assert [name for name in place.tables() if name != LEDGER] == ["scores"] * (
        if_exists is not IfExists.FAIL
    )
    assert place.sql(f"SELECT * FROM {LEDGER}") == []


@BOTH
def test_ids_that_repeat_only_what_was_there_before_are_appended(place: Place) -> None:
    old_table(place)
    asked = publication(place, rows=3, if_exists=IfExists.APPEND, id_columns=("id", "prediction"))
    assert place.publisher.publish(asked, [part(1, 3), part(0, 1, "old")]).is_new
    assert place.sql("SELECT count(*) FROM scores WHERE prediction = 'old'") == [(2,)]


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
    place.publisher.publish(publication(place, rows=len(rows), columns=columns), [batch])
    back = place.sql("SELECT text, double, flag FROM scores ORDER BY at")
    assert [(text, bits(double), flag) for text, double, flag in back] == [
        (text, bits(double), flag) for text, double, flag in rows
    ]


def bits(value: float | None) -> bytes | None:
    """Tell -0.0 from 0.0, and take every NaN for the same."""
    return None if value is None else b"nan" if value != value else struct.pack("d", value)  # noqa: PLR0124


@BOTH
def test_a_column_that_holds_nothing_but_null(place: Place) -> None:
    columns = (OutputColumn(name="a", warehouse_type="text", source="carried"),)
    batch = pa.RecordBatch.from_pydict({"a": pa.array([None, "", None, "x"], pa.string())})
    place.publisher.publish(publication(place, rows=4, columns=columns), [batch])
    assert place.sql("SELECT a FROM scores ORDER BY a NULLS LAST") == [("",), ("x",), (None,), (None,)]
