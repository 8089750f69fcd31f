"""``--query``: one SELECT, described without being run, read like a table; anything more is refused."""

from __future__ import annotations

import pytest
from tests.contract.warehouse_place import Place

from skfleet.inputs.sample import Sample
from skfleet.inputs.table_input import TableInput
from skfleet.progress import Silent
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.tables.port import Selection


@pytest.fixture
def shop(place: Place) -> Place:
    place.sql(
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN cents AS numeric(10,2);"
        "CREATE TABLE shop AS SELECT i AS id, i * 1.5::float8 AS score,"
        " (i / 7.0)::numeric(10,2)::cents AS price,"
        " 'good'::mood AS mood, '{}'::jsonb AS payload, 'x'::varchar(9) AS code, 'a%b{}'::text AS odd "
        "FROM generate_series(1, 1000) AS i"
    )
    return place


def describe(shop: Place, query: str) -> Selection:
    return shop.warehouse.catalogue.describe_query(query.replace("SHOP", f"{shop.schema}.shop"))


def read(shop: Place, query: str, *names: str) -> list[dict[str, object]]:
    opened = TableInput.of_query(shop.warehouse, query.replace("SHOP", f"{shop.schema}.shop"))
    return opened.read(names or [column.name for column in opened.columns], steps=Silent()).to_pylist()


def test_a_query_is_described_by_the_database(shop: Place) -> None:
    selection = describe(shop, "SELECT * FROM SHOP")
    described = {
        column.name: (column.warehouse_type, str(column.dtype)) for column in selection.table.columns
    }
    assert described == {
        "id": ("integer", "integer"),
        "score": ("double precision", "float64"),
        "price": ("numeric(10,2)", "decimal"),
        "mood": (f"{shop.schema}.mood", "text"),
        "payload": ("jsonb", "other"),
        "code": ("character varying", "text"),
        "odd": ("text", "text"),
    }
    assert selection.table.estimated_rows > 0


def test_describing_does_not_run_the_query(shop: Place) -> None:
    selection = shop.warehouse.catalogue.describe_query(
        f"SELECT 1 / (id - id) AS boom FROM {shop.schema}.shop"
    )
    assert [column.name for column in selection.table.columns] == ["boom"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT id FROM SHOP WHERE id <= 2 ORDER BY id;", [{"id": 1}, {"id": 2}]),
        ("WITH one AS (SELECT max(id) AS id FROM SHOP) SELECT id + 1 AS next FROM one", [{"next": 1001}]),
        ("SELECT 1 AS a UNION ALL SELECT 2 ORDER BY a", [{"a": 1}, {"a": 2}]),
        ("(SELECT 1 AS a)", [{"a": 1}]),
        ("SELECT odd FROM SHOP WHERE odd LIKE 'a%b{}' LIMIT 1", [{"odd": "a%b{}"}]),
        ('SELECT price AS "The Price" FROM SHOP WHERE id = 7', [{"The Price": 1.0}]),
        (
            "SELECT mood, count(*) AS n, row_number() OVER () AS r FROM SHOP GROUP BY mood",
            [{"mood": "good", "n": 1000, "r": 1}],
        ),
    ],
)
def test_what_only_reads_is_read(shop: Place, query: str, expected: list[dict[str, object]]) -> None:
    assert read(shop, query) == expected


@pytest.mark.parametrize(
    ("query", "phrase"),
    [
        ("", "--query is empty"),
        (";", "--query is empty"),
        ("SELECT 1 AS a; DROP TABLE SHOP", "semicolon"),
        ("SELECT 1 AS a) AS q; DROP TABLE SHOP; SELECT (1", "closes a )"),
        ("SELECT 1 AS a -- all", "comment"),
        ("SELECT 1 AS a /* all */", "comment"),
        ("DELETE FROM SHOP", "not one SELECT"),
        ("DROP TABLE SHOP", "not one SELECT"),
        ("VACUUM", "not one SELECT"),
        ("SELECT", "--query has no columns"),
        ("id > 3", "not one SELECT"),
        ("INSERT INTO SHOP (id) VALUES (1) RETURNING id", "not one SELECT"),
        ("WITH gone AS (DELETE FROM SHOP RETURNING id) SELECT id FROM gone", "more than read"),
        ("WITH new AS (INSERT INTO SHOP (id) VALUES (1) RETURNING id) SELECT id FROM new", "more than read"),
        ("SELECT id INTO copy FROM SHOP", "more than read"),
        ("SELECT id FROM SHOP FOR UPDATE", "more than read"),
        ("SELECT pg_sleep(60) AS a", "calls pg_sleep"),
        ("SELECT nextval('s') AS a", "calls nextval"),
        ("SELECT random() AS a", "calls random"),
        ("SELECT pg_terminate_backend(pg_backend_pid()) AS a", "calls pg_terminate_backend"),
        ("SELECT set_config('role', 'postgres', false) AS a", "calls set_config"),
        ("SELECT $1 AS a", "placeholders"),
        ("SELECT E'\\\\' AS a", "escape"),
        ("SELECT no FROM SHOP", 'column "no" does not exist'),
        ("SELECT id FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT rolpassword FROM pg_authid", "may not"),
        ("SELECT 1", "Column 1 of --query has no name"),
        ("SELECT id, id FROM SHOP", "2 columns called id"),
        ("SELECT 'x'::integer AS a", "not accepted"),
        ("SELECT a FROM (VALUES (1)) AS v(b)", "not accepted"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(shop: Place, query: str, phrase: str) -> None:
    with pytest.raises(Refused) as refused:
        read(shop, query)
    assert phrase in str(refused.value)
    assert "\n" not in str(refused.value)
    assert shop.sql("SELECT count(*) FROM shop") == [(1000,)]


def test_a_value_that_cannot_be_computed_is_said_when_it_is_read(shop: Place) -> None:
    with pytest.raises(Refused, match="division by zero"):
        read(shop, "SELECT 1 / (id - id) AS boom FROM SHOP")


@pytest.mark.parametrize("kind", ["table", "query"])
def test_a_sample_is_the_same_rows_for_the_same_seed(shop: Place, kind: str) -> None:
    def drawn(seed: int) -> list[int]:
        sample = Sample(20, seed=seed)
        table = f"{shop.schema}.shop"
        if kind == "table":
            opened = TableInput.open(shop.warehouse, table, sample=sample, id_columns=["id"])
        else:
            query = f"SELECT * FROM {table} ORDER BY score DESC"
            opened = TableInput.of_query(shop.warehouse, query, sample=sample, id_columns=["ID"])
        assert opened.origin.sampled == 20
        return opened.read(["id"], steps=Silent())["id"].to_pylist()

    before = drawn(1)
    shop.sql("UPDATE shop SET score = 0 WHERE id % 3 = 0")  # which moves rows on the disk
    assert drawn(1) == before
    assert len(set(before)) == 20
    assert set(drawn(2)) != set(before)


def test_a_sample_of_a_table_needs_something_that_tells_rows_apart(shop: Place) -> None:
    with pytest.raises(UsageError, match="--sample of a table needs --id-column"):
        TableInput.open(shop.warehouse, f"{shop.schema}.shop", sample=Sample(2))
