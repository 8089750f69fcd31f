"""--where against a real database: what is accepted means what was written, and nothing else happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.warehouse_place import Place

from skfleet_common.contracts.errors import Refused

COLUMNS = (
    "id int NOT NULL, n int, name text, at timestamptz, late boolean, price numeric, tags text[], doc jsonb"
)


@pytest.fixture
def flights(place: Place) -> Iterator[Place]:
    """Ten rows with NULLs and odd texts, and a second table that a hostile text would like to drop."""
    place.sql(
        f"CREATE TABLE t ({COLUMNS}); CREATE TABLE x (a int); CREATE SEQUENCE s; "
        "INSERT INTO t SELECT g, CASE WHEN g % 3 > 0 THEN g * 10 END, 'N' || g || '%s{}', "
        "timestamptz '2013-01-01' + g * interval '1 day', g % 2 = 0, g / 4.0, ARRAY['a', g::text], "
        """jsonb_build_object('a', g, '$.a', 'odd') FROM generate_series(1, 10) g; """
        "INSERT INTO t (id, name) VALUES (11, '--'), (12, ''), (13, 'it''s; /* */')"
    )
    return place


def state_of(place: Place) -> list[tuple[object, ...]]:
    """Everything that a hostile text might change."""
    return place.sql(
        f"SELECT (SELECT array_agg(relname::text ORDER BY relname) FROM pg_class "
        f"WHERE relnamespace = '{place.schema}'::regnamespace), "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t), (SELECT count(*) FROM x), "
        "(SELECT last_value FROM s), "
        "(SELECT count(*) FROM pg_largeobject_metadata), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
    )


SAME_MEANING = [
    "late",
    "NOT late",
    "n IS NULL",
    "id % 2 = 0",
    "name LIKE 'N1%'",
    "name LIKE '%\\%s{}' AND name !~ '^N1'",
    "name = '--' OR name = 'it''s; /* */' OR name = ''",
    "-2 ^ 2 = 4 AND id > 3",
    "2 ^ 3 ^ 2 = 64",
    "n / 4 = 2 OR id = 1",
    "price::int = 1",
    "CAST(price AS numeric(4,1)) = 1.3",
    "doc ->> '$.a' = 'odd' AND (doc -> 'a')::int > 4",
    "tags @> '{a,3}' OR '4' = ANY (tags)",
    "at >= '2013-01-05' AND at < timestamptz '2013-01-08'",
    "extract(day FROM at) BETWEEN 3 AND 6",
    "at::date IN (date '2013-01-03', '2013-01-04')",
    "(id, late) IN ((2, true), (3, true))",
    "id IN (SELECT t2.id FROM t t2 WHERE t2.n > 40)",
    "price > (SELECT avg(price) FROM t)",
    "EXISTS (SELECT 1 FROM t t2 WHERE t2.id = t.id + 5)",
    "CASE WHEN late THEN id > 5 ELSE id < 5 END",
    "coalesce(n, 0) + 1 > 50 IS NOT FALSE",
    "n IS DISTINCT FROM 10 AND late IS NOT TRUE",
    "lower(name) ~~* 'n_\\%S{}'",
    "length(name) > 5 # 1",
    "abs(id - 5) < 2 AND id & 1 = 1 AND id << 1 > 2",
    "t.id = 3 OR id = ANY ('{5,6}'::int[])",
    "name SIMILAR TO 'N[1-3]%' AND substring(name from 1 for 1) = 'N'",
    "position('1' in name) = 2 AND name COLLATE \"C\" < 'N2'",
]


@pytest.mark.parametrize("text", SAME_MEANING)
def test_what_is_accepted_selects_what_was_written(flights: Place, text: str) -> None:
    qualified = text.replace("FROM t ", f"FROM {flights.schema}.t ").replace(
        "FROM t)", f"FROM {flights.schema}.t)"
    )
    where = flights.warehouse.catalogue.check_where(flights.table("t"), qualified)
    rows = flights.warehouse.reader.read(flights.rows_of("t", where), features=["id"])
    read = sorted(row["id"] for batch in rows for row in batch.features.to_pylist())
    assert [(number,) for number in read] == flights.sql(f"SELECT id FROM t WHERE ({text}) ORDER BY 1")


HOSTILE = [
    ("true); COMMIT; DROP TABLE x; SELECT (1", "did not open"),
    ("id = 1) OR (true", "did not open"),
    ("nope = 1", r"asks for a column nope, but \S+ has none"),
    ("nam = 'a'", r"did you mean name\?"),
    ("u.id = 1", "not accepted by PostgreSQL: missing FROM-clause"),
    ("id", "is of type integer, not a condition"),
    ("name", "is of type text, not a condition"),
    ("(SELECT id FROM x)", "not"),
    ("at > 'yesterdayish'", "not accepted"),
    ("nofunction(id)", "not accepted"),
    ("regr_slope(id, id) > 1", "each row alone|aggregate"),
    ("generate_series(1, 3) = 1", "not accepted|set-returning"),
    ("id = 1 OR 1/0 = 1", "division by zero"),
    ("pg_sleep(10) IS NULL", "calls pg_sleep"),
    ("PG_CATALOG.PG_SLEEP (10) IS NULL", "calls pg_sleep"),
    ('"pg_sleep"(10) IS NULL', "calls pg_sleep"),
    ("pg_terminate_backend(id)", "calls pg_terminate_backend"),
    ("pg_cancel_backend(id)", "calls pg_cancel_backend"),
    ("pg_reload_conf()", "calls pg_reload_conf"),
    ("set_config('transaction_read_only', 'off', true) = 'off'", "calls set_config"),
    ("nextval('s') > 0", "calls nextval"),
    ("setval('s', 9) > 0", "calls setval"),
    ("lo_create(0) > 0", "calls lo_create"),
    ("pg_try_advisory_lock(id)", "calls pg_try_advisory_lock"),
    ("pg_notify('a', 'b') IS NULL", "calls pg_notify"),
    ("query_to_xml('DROP TABLE x', true, true, '') IS NULL", "calls query_to_xml"),
    ("ts_stat('SELECT 1') IS NULL", "calls ts_stat"),
    ("pg_read_file('/etc/passwd') > ''", "calls pg_read_file"),
    ("pg_ls_dir('.') > ''", "calls pg_ls_dir"),
    ("id IN (SELECT pg_backend_pid() FROM pg_sleep(10))", "calls pg_sleep"),
    ("random() < 0.5", "calls random"),
    ("clock_timestamp() > at", "calls clock_timestamp"),
    ("evil(id)", "calls evil"),
    ("id === 1", "calls ===|not one boolean"),
    ("EXISTS (SELECT * FROM pg_sleep(10))", "calls pg_sleep"),
    ("id = (VALUES (nextval('s')))", "calls nextval|not one boolean"),
]


@pytest.mark.parametrize(("text", "reason"), HOSTILE)
def test_what_is_hostile_or_wrong_is_refused_and_changes_nothing(
    flights: Place, text: str, reason: str
) -> None:
    flights.sql(
        "CREATE FUNCTION evil(int) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT true'; "
        "CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT true'; "
        "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same)"
    )
    before = state_of(flights)
    with pytest.raises(Refused, match=reason) as refusal:
        flights.warehouse.catalogue.check_where(flights.table("t"), text)
    assert "\n" not in str(refusal.value)
    assert state_of(flights) == before


PIECES = st.sampled_from(
    [
        *[
            "id",
            "n",
            "name",
            "late",
            "t.id",
            "price",
            "1",
            "0.5",
            "'a'",
            "'%s'",
            "'{}'",
            "NULL",
            "true",
            "'2013-01-01'",
        ],
        *[
            "=",
            "<",
            ">=",
            "<>",
            "+",
            "-",
            "*",
            "/",
            "%",
            "||",
            "~",
            "LIKE",
            "AND",
            "OR",
            "NOT",
            "IS",
            "IN",
            "BETWEEN",
        ],
        *[
            "(",
            ")",
            "(",
            ")",
            ",",
            "::text",
            "::int",
            "CASE WHEN",
            "THEN",
            "ELSE",
            "END",
            "lower(",
            "abs(",
            "now()",
        ],
        *[
            "(SELECT max(id) FROM t)",
            "EXISTS (SELECT 1)",
            "nextval('s')",
            "DROP TABLE x",
            ";",
            "--",
            "/*",
            "*/",
            "\n",
        ],
        *[
            "UNION SELECT 1",
            "RETURNING",
            "INSERT INTO x VALUES (1)",
            "lo_create(0)",
            "pg_advisory_lock(1)",
            '"id"',
            "$1",
        ],
        *[
            "); DROP TABLE x; SELECT (1",
            "COMMIT",
            "E'\\'",
            "U&'",
            "$$",
            "'",
            '"',
            "FOR UPDATE",
            "INTO y",
            "LIMIT 0",
        ],
    ]
)
CONDITIONS = st.builds(
    lambda left, operator, right: f"{left} {operator} {right}",
    st.sampled_from(["id", "n", "price", "abs(id)", "length(name)"]),
    st.sampled_from(["=", "<", ">", "<>", ">=", "%"]),
    st.sampled_from(["1", "2.5", "n", "id % 3", "-1", "NULL"]),
)


def run_if_accepted(place: Place, text: str) -> None:
    """Check a text, and read with it what it lets through; a refusal is as good."""
    try:
        where = place.warehouse.catalogue.check_where(place.table("t"), text)
        source = place.rows_of("t", where)
        counted = place.warehouse.keys.histogram(source, "id", chunk_rows=500).rows
        batches = place.warehouse.reader.read(source, features=["id"])
        assert sum(batch.features.num_rows for batch in batches) == counted
    except Refused as refusal:  # also of a value that a cast does not take: 'a'::int
        said = str(refusal)
    else:
        said = ""
    assert "\n" not in said


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    text=st.one_of(
        st.lists(PIECES, min_size=1, max_size=9).map(" ".join),
        st.lists(CONDITIONS, min_size=1, max_size=4).map(" AND ".join),
        st.tuples(CONDITIONS, PIECES, CONDITIONS).map(" ".join),
    )
)
def test_whatever_is_accepted_can_be_run_and_changes_nothing(flights: Place, text: str) -> None:
    before = state_of(flights)
    run_if_accepted(flights, text)
    assert state_of(flights) == before
