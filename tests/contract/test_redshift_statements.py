"""Every statement of planning and reading is Redshift's dialect, and stands in docs/redshift.md."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.redshift_statements import parsed, system_names
from tests.contract.warehouse_place import REDSHIFT, RedshiftSchema

from skfleet.plan import plan_chunks
from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.port import RowSample, Selection

PAGE = Path(__file__).parents[2] / "docs" / "redshift.md"

NAMES = ["plain", "My Table", 'quo"te', "select", "naïve 日本"]


@pytest.fixture
def sent(place: RedshiftSchema) -> list[str]:
    """What planning and reading send, for tables and columns of all kinds of names."""
    place.sql("CREATE TABLE base (id int, k varchar(9))")
    place.sql(f"CREATE VIEW late AS SELECT id, k FROM {place.schema}.base WITH NO SCHEMA BINDING")
    place.sql("CREATE TABLE lake (id int)")
    place.redshift.server.describe(f"{place.schema}.lake", external_location="s3://lake/")
    for name in NAMES:
        quoted = '"' + name.replace('"', '""') + '"'
        place.seed(
            f"CREATE TABLE {quoted} ({quoted} int, r real, k varchar(9), day date); "
            f"INSERT INTO {quoted} SELECT g, g * 0.1, 'it''s ' || chr(92) || g % 7, "
            "date '2024-01-01' + g % 90 FROM generate_series(1, 2000) g"
        )
    place.redshift.server.statements.clear()
    for name in NAMES:
        work_with(place, name)
    catalogue = place.warehouse.catalogue
    for text in ("late", "lake"):
        catalogue.find_table(f"{place.schema}.{text}")
    catalogue.describe_query(f"SELECT id, lower(k) AS l FROM {place.schema}.late WHERE id > 5")
    for missing in (f"{place.schema}.nope", "nope"):
        with pytest.raises(Refused):
            catalogue.find_table(missing)
    return list(dict.fromkeys(place.redshift.server.statements))


def work_with(place: RedshiftSchema, name: str) -> None:
    warehouse, table = place.warehouse, place.table(name)
    quoted = '"' + name.replace('"', '""') + '"'
    where = warehouse.catalogue.check_where(table, f"{quoted} > 5 AND upper(k) <> 'it''s \\\\'")
    source = Selection(table, where=where)
    warehouse.keys.check_ids(source, [name])
    warehouse.keys.layout(source)
    warehouse.keys.feature_counts(source, [name, "k"], categorical=[name, "k"])
    for key in (name, "r", "k", "day") if name == NAMES[0] else (name,):
        for chunk_rows in (300, 1_000):
            others = [name] if key != name else []
            histogram = warehouse.keys.histogram(source, key, chunk_rows=chunk_rows, hash_columns=others)
        column = table.column(key)
        assert column is not None
        within = plan_chunks(histogram, chunk_rows=300).chunks[0].id_range
        asked = {"split_column": key, "split_type": column.warehouse_type, "within": within}
        list(warehouse.reader.read(source, features=["r"], verbatim=[name], **asked))  # type: ignore[arg-type]
        warehouse.reader.middle_key(source, **asked)  # type: ignore[arg-type]
    sampled = Selection(table, sample=RowSample(rows=20, seed=1, id_columns=(name,)))
    assert sum(batch.features.num_rows for batch in warehouse.reader.read(sampled, features=[name])) == 20


@REDSHIFT
def test_every_statement_is_redshifts_dialect_and_documented(sent: list[str]) -> None:
    assert len(sent) > 50
    for statement in sent:
        parsed(statement)
    page = PAGE.read_text()
    assert {name for name in system_names(sent) if name not in page} == set()
    verbs = {" ".join(statement.split()[: 2 if statement.startswith("SET") else 1]) for statement in sent}
    assert {verb for verb in verbs if verb not in page} == set()


@REDSHIFT
def test_no_statement_is_what_redshift_lacks(sent: list[str]) -> None:
    lacking = ("ARRAY", "FILTER (", "::", "COPY", "SAVEPOINT", "RETURNING", "width_bucket", "generate_series")
    assert [sql for sql in sent if any(word in sql for word in lacking)] == []
