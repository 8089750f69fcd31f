"""The catalogue: names, columns and types of tables as they are."""

from __future__ import annotations

import pytest
from tests.contract.private_postgres import PrivatePostgres
from tests.contract.warehouse_place import BOTH, Place

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import EnvironmentFault, Refused
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables import open_warehouse

ODD_NAMES = [
    'quo"te', "My Table", "a.b", "semi; DROP TABLE x", "per%cent %s", "{}", "naïve 日本", "'", "-- x", "\\",
    "select",
]  # fmt: skip

SCORES = (
    OutputColumn(name="id", warehouse_type="bigint", source="id", nullable=False),
    OutputColumn(name="prediction", warehouse_type="boolean", source="prediction"),
    OutputColumn(name="proba_true", warehouse_type="double precision", source="probability"),
)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@BOTH
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_table_and_column_with_an_odd_name_are_found_as_they_are(place: Place, name: str) -> None:
    place.seed(f"CREATE TABLE {quoted(name)} ({quoted(name)} int)")
    table = place.warehouse.catalogue.find_table(f"{place.schema}.{quoted(name)}")
    assert table.name == TableName(schema_name=place.schema, name=name)
    assert [column.name for column in table.columns] == [name]


@BOTH
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_missing_table_with_an_odd_name_is_named_without_quotes(place: Place, name: str) -> None:
    with pytest.raises(Refused) as refusal:
        place.warehouse.catalogue.find_table(f"{place.schema}.{quoted(name)}")
    assert f"There is no table {place.schema}.{name}" in str(refusal.value)


@BOTH
def test_capitals_are_taken_literally_first_and_then_folded(place: Place) -> None:
    place.seed('CREATE TABLE flights (a int); CREATE TABLE "Flights" (b int)')
    find = place.warehouse.catalogue.find_table
    assert find(f"{place.schema}.Flights").name.name == "Flights"
    assert find(f"{place.schema.upper()}.FLIGHTS").name.name == "flights"
    with pytest.raises(Refused):
        find(f'{place.schema}."FLIGHTS"')


def test_a_name_without_a_schema_is_looked_for_on_the_search_path(place: Place) -> None:
    place.sql(f"CREATE TABLE public.on_the_path_{place.schema} (a int)")
    try:
        found = place.warehouse.catalogue.find_table(f"on_the_path_{place.schema}")
        assert found.name.schema_name == "public"
    finally:
        place.sql(f"DROP TABLE public.on_the_path_{place.schema}")


@BOTH
def test_a_missing_table_is_refused_with_the_nearest_name(place: Place) -> None:
    place.seed("CREATE TABLE flights (a int)")
    with pytest.raises(Refused, match=rf"did you mean {place.schema}\.flights\?"):
        place.warehouse.catalogue.find_table(f"{place.schema}.fligths")


@BOTH
def test_a_missing_schema_is_refused_with_the_nearest_name(place: Place) -> None:
    with pytest.raises(Refused, match=rf"no schema {place.schema}x; did you mean {place.schema}\?"):
        place.warehouse.catalogue.find_table(f"{place.schema}x.flights")


def test_types_are_what_their_values_are(place: Place) -> None:
    place.sql(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN small AS numeric(5,2) NOT NULL; "
        "CREATE DOMAIN smaller AS small; "
        "CREATE TABLE t (a smallint NOT NULL, b bigint, c real, d double precision, e numeric(10,2), "
        "f boolean, g text, h varchar(5), i char(3), j date, k timestamp, l timestamptz(3), m uuid, "
        "n jsonb, o int[], p mood, q smaller, r name, s interval, t time, u timetz(3))"
    )
    found = {
        column.name: (column.warehouse_type, column.dtype, column.nullable)
        for column in place.table("t").columns
    }
    assert found == {
        "a": ("smallint", LogicalDtype.INTEGER, False),
        "b": ("bigint", LogicalDtype.INTEGER, True),
        "c": ("real", LogicalDtype.FLOAT32, True),
        "d": ("double precision", LogicalDtype.FLOAT64, True),
        "e": ("numeric(10,2)", LogicalDtype.DECIMAL, True),
        "f": ("boolean", LogicalDtype.BOOLEAN, True),
        "g": ("text", LogicalDtype.TEXT, True),
        "h": ("character varying(5)", LogicalDtype.TEXT, True),
        "i": ("character(3)", LogicalDtype.TEXT, True),
        "j": ("date", LogicalDtype.DATE, True),
        "k": ("timestamp without time zone", LogicalDtype.TIMESTAMP, True),
        "l": ("timestamp(3) with time zone", LogicalDtype.TIMESTAMPTZ, True),
        "m": ("uuid", LogicalDtype.OTHER, True),
        "n": ("jsonb", LogicalDtype.OTHER, True),
        "o": ("integer[]", LogicalDtype.OTHER, True),
        "p": (f"{place.schema}.mood", LogicalDtype.TEXT, True),
        "q": ("numeric(5,2)", LogicalDtype.DECIMAL, False),
        "r": ("name", LogicalDtype.TEXT, True),
        "s": ("interval", LogicalDtype.OTHER, True),
        "t": ("time without time zone", LogicalDtype.TIME, True),
        "u": ("time(3) with time zone", LogicalDtype.OTHER, True),
    }


def test_views_and_partitioned_tables_are_found_too(place: Place) -> None:
    place.sql(
        "CREATE TABLE base (a int); CREATE VIEW seen AS SELECT * FROM base; "
        "CREATE MATERIALIZED VIEW stored AS SELECT * FROM base; "
        "CREATE TABLE parts (a int) PARTITION BY RANGE (a)"
    )
    sampled = {name: place.table(name).can_sample for name in ("base", "seen", "stored", "parts")}
    assert sampled == {"base": True, "seen": False, "stored": True, "parts": True}


@BOTH
def test_a_table_that_the_role_may_not_read_is_refused(place: Place) -> None:
    place.sql(f"CREATE TABLE {place.schema}.hidden (a int)", as_superuser=True)
    with pytest.raises(Refused, match="may not read"):
        place.table("hidden")


def test_only_columns_that_the_role_may_read_are_given(place: Place) -> None:
    place.sql(
        f"CREATE TABLE {place.schema}.half (a int, b int); "
        f"GRANT SELECT (a) ON {place.schema}.half TO fleet_owner",
        as_superuser=True,
    )
    assert [column.name for column in place.table("half").columns] == ["a"]


@BOTH
def test_a_new_output_name_is_resolved(place: Place) -> None:
    resolve = place.warehouse.catalogue.resolve_output
    assert resolve(f"{place.schema}.Scores") == TableName(schema_name=place.schema, name="scores")
    assert resolve(f'{place.schema}."Scores"') == TableName(schema_name=place.schema, name="Scores")
    place.seed('CREATE TABLE "Scores" (a int)')
    assert resolve(f"{place.schema}.Scores") == TableName(schema_name=place.schema, name="Scores")
    with pytest.raises(Refused, match="no schema"):
        resolve("no_such_schema.scores")


def output(place: Place, name: str = "scores") -> TableName:
    return TableName(schema_name=place.schema, name=name)


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_a_new_output_is_let_through(place: Place, if_exists: IfExists) -> None:
    place.warehouse.catalogue.check_output(output(place), SCORES, if_exists=if_exists)
    assert place.tables() == []


@pytest.mark.parametrize(
    ("made", "if_exists", "reason"),
    [
        ("CREATE TABLE scores (a int)", IfExists.FAIL, "exists already"),
        ("CREATE VIEW scores AS SELECT 1 AS a", IfExists.FAIL, "it is a view"),
        ("CREATE VIEW scores AS SELECT 1 AS a", IfExists.REPLACE, "is a view"),
        ("CREATE VIEW scores AS SELECT 1 AS a", IfExists.APPEND, "is a view"),
        ("CREATE SEQUENCE scores", IfExists.REPLACE, "is a sequence"),
        ("CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE scores PARTITION OF p DEFAULT",
         IfExists.REPLACE, "is a partition of another table"),
        ("CREATE TABLE scores (a int); CREATE VIEW seen AS SELECT * FROM scores; "
         "CREATE VIEW again AS SELECT * FROM seen", IfExists.REPLACE,
         r"because view \S*seen reads it; add --cascade-views"),
        ("CREATE TABLE scores (a int PRIMARY KEY); CREATE TABLE child (a int REFERENCES scores)",
         IfExists.REPLACE, r"without losing constraint child_a_fkey on table \S*child"),
        ("CREATE TABLE scores (id bigint, prediction boolean)", IfExists.APPEND, "no column proba_true"),
        ("CREATE TABLE scores (id int, prediction boolean, proba_true float8)", IfExists.APPEND,
         "id as integer, but the output has bigint"),
        ("CREATE TABLE scores (id bigint, prediction boolean, proba_true float8, more int NOT NULL)",
         IfExists.APPEND, "requires a value in more"),
        ("CREATE TABLE scores (id bigint GENERATED ALWAYS AS IDENTITY, prediction bool, proba_true float8)",
         IfExists.APPEND, "computes its column id"),
    ],
)  # fmt: skip
def test_an_output_that_publishing_would_stumble_over_is_refused(
    place: Place, made: str, if_exists: IfExists, reason: str
) -> None:
    place.sql(made)
    with pytest.raises(Refused, match=reason):
        place.warehouse.catalogue.check_output(output(place), SCORES, if_exists=if_exists)


def test_an_output_to_append_to_may_have_more_columns_in_another_order(place: Place) -> None:
    place.sql(
        "CREATE TABLE scores (noted timestamptz NOT NULL DEFAULT now(), proba_true float8, "
        "prediction boolean, id bigint, more int)"
    )
    place.warehouse.catalogue.check_output(output(place), SCORES, if_exists=IfExists.APPEND)


def test_an_output_of_another_owner_is_refused(place: Place) -> None:
    place.sql(f"CREATE TABLE {place.schema}.scores (a int)", as_superuser=True)
    with pytest.raises(Refused, match="does not own"):
        place.warehouse.catalogue.check_output(output(place), SCORES, if_exists=IfExists.REPLACE)
    with pytest.raises(Refused, match="may not insert"):
        place.warehouse.catalogue.check_output(output(place), SCORES, if_exists=IfExists.APPEND)


def test_a_schema_in_which_the_role_may_not_create_is_refused(place: Place) -> None:
    locked = TableName(schema_name="information_schema", name="scores")
    with pytest.raises(Refused, match="may not create tables"):
        place.warehouse.catalogue.check_output(locked, SCORES, if_exists=IfExists.FAIL)


@pytest.mark.parametrize(
    "spelled", ["no_such_type", "text); DROP TABLE x; --", "int, b int", "", "text NOT NULL"]
)
def test_an_output_column_of_no_type_is_refused(place: Place, spelled: str) -> None:
    columns = (OutputColumn(name="a", warehouse_type=spelled, source="carried"),)
    with pytest.raises(Refused, match="has a type that PostgreSQL does not know"):
        place.warehouse.catalogue.check_output(output(place), columns, if_exists=IfExists.FAIL)


@BOTH
def test_the_ledger_is_no_output(place: Place) -> None:
    with pytest.raises(Refused, match="own ledger"):
        place.warehouse.catalogue.check_output(
            output(place, "skfleet_publications"), SCORES, if_exists=IfExists.REPLACE
        )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (("fleet_owner:", "stranger:"), "turns user or password away"),
        (("/warehouse", "/elsewhere"), "no database"),
        (("127.0.0.1:", "127.0.0.1:1"), "cannot be"),
    ],
)
def test_a_warehouse_that_does_not_answer_is_an_environment_fault_without_credentials(
    postgres_server: PrivatePostgres, changed: tuple[str, str], reason: str
) -> None:
    url = postgres_server.url.replace(*changed)
    if reason == "cannot be":
        url = "postgresql://fleet_owner:not%20a%20secret@127.0.0.1:1/warehouse"
    with pytest.raises(EnvironmentFault, match=reason) as fault:
        open_warehouse(url, statement_seconds=5).catalogue.find_table("a.b")
    assert "secret" not in str(fault.value)
