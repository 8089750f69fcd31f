"""Names with quotes, capitals, other letters and reserved words, of outputs and all that belongs to them."""

from __future__ import annotations

import pytest
from tests.contract.publications import part, publication
from tests.contract.warehouse_place import REDSHIFT, RedshiftSchema

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Selection

pytestmark = REDSHIFT

NAMES = ["MiXed Case", 'say "x"', "select", "naïve 日本", "it's 100%s {}", "back\\slash"]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def columns(name: str) -> tuple[OutputColumn, ...]:
    return (
        OutputColumn(name=name, warehouse_type="bigint", source="id", nullable=False),
        OutputColumn(name="prediction", warehouse_type="text", source="prediction"),
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_output_its_columns_keys_views_and_groups_may_be_called_anything(
    place: RedshiftSchema, name: str
) -> None:
    own = quoted(name)
    place.sql(
        f"SET enable_case_sensitive_identifier TO true; CREATE TABLE {own} ({own} bigint NOT NULL, "
        f"prediction varchar(65535)) DISTKEY ({own}) SORTKEY ({own})"
    )
    place.seed(
        f"CREATE VIEW {quoted('of ' + name)} AS SELECT {own} FROM {own}; "
        f"COMMENT ON COLUMN {own}.{own} IS 'kept'"
    )
    group = quoted(f"{name} {place.schema}")
    place.sql(f"CREATE ROLE {group}; GRANT SELECT, UPDATE ({own}) ON {own} TO {group}", as_superuser=True)
    try:
        table = place.warehouse.catalogue.resolve_output(f"{place.schema}.{own}")
        assert table == TableName(schema_name=place.schema, name=name)
        for number, if_exists in enumerate([IfExists.REPLACE, IfExists.APPEND]):
            asked = publication(
                place, rows=5, if_exists=if_exists, job=f"job-{number}", columns=columns(name), name=name,
                id_columns=(name,), cascade_views=True,
            )  # fmt: skip
            rows = part(10 * number, 10 * number + 5).rename_columns([name, "prediction", "proba"])
            place.warehouse.catalogue.check_output(
                table, asked.columns, if_exists=if_exists, cascade_views=True
            )
            assert place.publisher.publish(asked, [rows.select([name, "prediction"])]).is_new
        (kept,) = place.sql(
            f"SELECT has_table_privilege({literal(f'{name} {place.schema}')}, c.oid, 'SELECT'), "
            "col_description(c.oid, 1), (SELECT distkey FROM redshift.traits WHERE relid = c.oid) "
            f"FROM pg_class c WHERE relname = {literal(name)} "
            f"AND relnamespace = '{place.schema}'::regnamespace",
            as_superuser=True,
        )
        assert kept == (True, "kept", name)
        view = place.sql(f"SELECT count(*) FROM {quoted('of ' + name)}", as_superuser=True)
        assert view == [(10,)]
        source = Selection(place.table(name))
        (batch,) = place.warehouse.reader.read(source, features=[name], verbatim=[name])
        assert sorted(batch.features[0].to_pylist()) == [*range(5), *range(10, 15)]
    finally:
        place.sql(f"DROP OWNED BY {group}; DROP ROLE {group}", as_superuser=True)


def test_names_that_differ_in_capitals_alone_are_two(place: RedshiftSchema) -> None:
    """What Redshift folds without ``enable_case_sensitive_identifier``, which every session sets."""
    for name, rows in (("Scores", 5), ("scores", 3)):
        asked = publication(place, rows=rows, job=name, name=name)
        assert place.publisher.publish(asked, [part(0, rows)]).is_new
    counted = [
        sum(
            batch.features.num_rows
            for batch in place.warehouse.reader.read(place.rows_of(name), features=["id"])
        )
        for name in ("Scores", "scores")
    ]
    assert counted == [5, 3]
    # Without quotes, a name is folded as Redshift folds it.
    assert place.warehouse.catalogue.resolve_output(f"{place.schema}.SCORES").name == "scores"
