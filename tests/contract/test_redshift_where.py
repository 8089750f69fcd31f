"""--where and --query in Redshift's dialect: what is accepted means what was written, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.test_warehouse_where import CONDITIONS, PIECES
from tests.contract.warehouse_place import REDSHIFT, Place, RedshiftSchema

from skfleet_common.contracts.errors import Refused

pytestmark = REDSHIFT


@pytest.fixture
def flights(place: Place) -> Iterator[Place]:
    """Ten rows with NULLs and odd texts, and a second table that a hostile text would like to drop."""
    place.seed(
        "CREATE TABLE t (id int NOT NULL, n int, name varchar(40), at timestamptz, late boolean, "
        "price numeric(10,2)); CREATE TABLE x (a int); "
        "INSERT INTO t SELECT g, CASE WHEN g % 3 > 0 THEN g * 10 END, 'N' || g || '%s{}', "
        "timestamptz '2013-01-01' + g * interval '1 day', g % 2 = 0, g / 4.0 FROM generate_series(1, 10) g; "
        "INSERT INTO t (id, name) VALUES (11, '--'), (12, ''), (13, 'it''s; /* */'), (14, 'back\\slash')"
    )
    return place


def state_of(place: Place) -> list[tuple[object, ...]]:
    """Everything that a hostile text might change."""
    return place.seed(
        f"SELECT (SELECT array_agg(relname::text ORDER BY relname) FROM pg_class "
        f"WHERE relnamespace = '{place.schema}'::regnamespace), "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t), (SELECT count(*) FROM x), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
    )


def ids_of(place: Place, where: str) -> list[int]:
    batches = place.warehouse.reader.read(place.rows_of("t", where), features=["id"])
    return sorted(row["id"] for batch in batches for row in batch.features.to_pylist())


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("late", [2, 4, 6, 8, 10]),
        ("NOT late AND id > 5", [7, 9]),
        ("n IS NULL AND id < 11", [3, 6, 9]),
        ("name LIKE 'N1%'", [1, 10]),
        ("name LIKE 'N_\\\\%s{}' AND id < 3", [1, 2]),
        ("name = 'it''s; /* */' OR name = '--' OR name = ''", [11, 12, 13]),
        ("name = 'back\\\\slash'", [14]),
        ("nvl(n, 0) + 1 > 90", [10]),
        ("len(name) > 6 AND id < 11", [10]),
        ("at >= '2013-01-05' AND at < timestamptz '2013-01-08'", [4, 5, 6]),
        ("extract(day FROM at) BETWEEN 3 AND 5", [2, 3, 4]),
        ("id IN (SELECT t2.id FROM t t2 WHERE t2.n > 70)", [8, 10]),
        ("CASE WHEN late THEN id > 8 ELSE id < 2 END", [1, 10]),
        ("name ~ '^N1' AND id % 2 = 0", [10]),
        ("(id, n) IN ((1, 10), (2, 20))", [1, 2]),
    ],
)
def test_what_is_accepted_selects_what_was_written(flights: Place, text: str, ids: list[int]) -> None:
    qualified = text.replace("FROM t ", f"FROM {flights.schema}.t ")
    where = flights.warehouse.catalogue.check_where(flights.table("t"), qualified)
    assert ids_of(flights, where) == ids


HOSTILE = [
    ("true); COMMIT; DROP TABLE x; SELECT (1", "did not open"),
    ("name = '\\' OR true); DROP TABLE x; SELECT ('", "backslash|semicolon"),
    ("name = '\\\\' OR true); DROP TABLE x; --'", "did not open"),
    ("nope = 1", r"asks for a column nope, but \S+ has none"),
    ("nam = 'a'", r"did you mean name\?"),
    ("id", "is of type integer, not a condition"),
    ("u.id = 1", "not accepted by Redshift"),
    ("at > 'yesterdayish'", "not accepted by Redshift"),
    ("nofunction(id)", "not accepted by Redshift"),
    ("generate_series(1, 3) = 1", "not accepted by Redshift"),
    ("id = ANY (ARRAY[1, 2])", "not accepted by Redshift"),
    ("pg_sleep(10) IS NULL", "calls pg_sleep"),
    ("pg_terminate_backend(id)", "calls pg_terminate_backend"),
    ("PG_CATALOG.PG_CANCEL_BACKEND (id)", "calls pg_cancel_backend"),
    ("\"set_config\"('a', 'b', true) = ''", "calls set_config"),
    ("random() < 0.5", "calls random"),
    ("at > getdate()", "asks for getdate"),
    ("at > sysdate", "asks for sysdate"),
    ("at > current_date", "asks for current_date"),
    ("evil(id)", "calls evil"),
    ("id IN (SELECT evil(id) FROM t)", "calls evil"),
]


@pytest.mark.parametrize(("text", "reason"), HOSTILE)
def test_what_is_hostile_or_wrong_is_refused_and_changes_nothing(
    flights: Place, text: str, reason: str
) -> None:
    flights.seed("CREATE FUNCTION evil(int) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT true'")
    before = state_of(flights)
    with pytest.raises(Refused, match=reason) as refusal:
        flights.warehouse.catalogue.check_where(flights.table("t"), text)
    assert "\n" not in str(refusal.value)
    assert state_of(flights) == before


def run_if_accepted(place: Place, text: str) -> None:
    """Check a text, and read with it what it lets through; a refusal is as good."""
    try:
        where = place.warehouse.catalogue.check_where(place.table("t"), text)
        counted = place.warehouse.keys.histogram(place.rows_of("t", where), "id", chunk_rows=500).rows
        assert len(ids_of(place, where)) == counted
    except Refused as refusal:  # also of a value that a cast does not take: 'a'::int
        said = str(refusal)
    else:
        said = ""
    assert "\n" not in said


ESCAPES = st.sampled_from(["'\\'", "'\\\\'", "'a\\", "\\' OR true); DROP TABLE x; --", "'\\''"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    text=st.one_of(
        st.lists(PIECES | ESCAPES, min_size=1, max_size=9).map(" ".join),
        st.tuples(CONDITIONS, PIECES | ESCAPES, CONDITIONS).map(" ".join),
        st.tuples(st.just("name ="), ESCAPES, st.sampled_from(["", "OR late", "AND id > 2"])).map(" ".join),
    )
)
def test_whatever_is_accepted_can_be_run_and_changes_nothing(flights: Place, text: str) -> None:
    before = state_of(flights)
    run_if_accepted(flights, text)
    assert state_of(flights) == before


def test_a_query_is_described_by_redshift_and_not_run(flights: RedshiftSchema) -> None:
    described = flights.warehouse.catalogue.describe_query(
        f"SELECT id, name, price, at, late, 1 / (id - id) AS boom FROM {flights.schema}.t;"
    )
    types = {column.name: (column.warehouse_type, str(column.dtype)) for column in described.table.columns}
    assert types == {
        "id": ("integer", "integer"),
        "name": ("character varying(40)", "text"),
        "price": ("numeric(10,2)", "decimal"),
        "at": ("timestamp with time zone", "timestamptz"),
        "late": ("boolean", "boolean"),
        "boom": ("integer", "integer"),
    }
    assert described.table.estimated_rows > 0


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT 1 AS a; DROP TABLE x", "semicolon"),
        ("SELECT '\\' AS a FROM t); DROP TABLE x; --'", "backslash|did not open|semicolon"),
        ("DELETE FROM t", "not one SELECT"),
        ("UNLOAD ('SELECT 1') TO 's3://b/k' IAM_ROLE default", "not one SELECT"),
        ("SELECT id INTO copy FROM t", "more than read"),
        ("SELECT 1", "Column 1 of --query has no name"),
        ("SELECT id, id FROM SCHEMA.t", "2 columns called id"),
        ("SELECT no FROM SCHEMA.t", 'column "no" does not exist'),
        ("SELECT pg_sleep(60) AS a", "calls pg_sleep"),
        ("SELECT random() AS a", "calls random"),
    ],
)
def test_anything_but_one_reading_query_is_refused(flights: Place, query: str, reason: str) -> None:
    before = state_of(flights)
    with pytest.raises(Refused, match=reason):
        flights.warehouse.catalogue.describe_query(query.replace("SCHEMA", flights.schema))
    assert state_of(flights) == before
