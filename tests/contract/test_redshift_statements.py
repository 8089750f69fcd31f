"""Every statement of planning and reading is Redshift's dialect, and stands in docs/redshift.md."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from tests.contract.publications import part, publication
from tests.contract.redshift_statements import as_documented, composed, documented, parsed, system_names
from tests.contract.test_redshift_replacing import RICH
from tests.contract.warehouse_place import REDSHIFT, RedshiftSchema

from skfleet.plan import plan_chunks
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import RowSample, Selection
from skfleet_common.tables.redshift.build import Build
from skfleet_common.tables.redshift.staging import make_staging, staging_for
from skfleet_common.tables.unload_sizes import UnloadSizes

PAGE = Path(__file__).parents[2] / "docs" / "redshift.md"

SIZES = UnloadSizes(file_megabytes=32, group_megabytes=32, group_rows=1_000)

NAMES = ["plain", "My Table", 'quo"te', "select", "naïve 日本"]


@pytest.fixture(scope="module")
def kept() -> list[str]:
    """What the first test of the run has seen sent, for the others."""
    return []


@pytest.fixture
def sent(place: RedshiftSchema, kept: list[str]) -> list[str]:
    """What everything that the product does with Redshift sends, for names of all kinds."""
    if not kept:
        try:
            kept += do_everything(place)
        finally:
            place.sql("ALTER ROLE fleet_owner NOSUPERUSER", as_superuser=True)
    return kept


def do_everything(place: RedshiftSchema) -> list[str]:
    """Plan, read, unload, cut, publish and clear up; gives what was sent."""
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
    place.sql(RICH)
    place.sql('ALTER TABLE scores ADD CONSTRAINT "by id" PRIMARY KEY (id)', as_superuser=True)
    place.sql(f"CREATE VIEW bound AS SELECT prediction FROM {place.schema}.scores")
    place.sql("CREATE TABLE theirs (id bigint)")
    # New tables are open to all, as theirs is not, and the role is not theirs either.
    place.sql(
        f"ALTER TABLE theirs OWNER TO postgres; ALTER DEFAULT PRIVILEGES FOR ROLE fleet_owner "
        f"IN SCHEMA {place.schema} GRANT SELECT ON TABLES TO PUBLIC; ALTER ROLE fleet_owner SUPERUSER",
        as_superuser=True,
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
    publish_all_ways(place)
    return list(dict.fromkeys(place.redshift.server.statements))


def publish_all_ways(place: RedshiftSchema) -> None:
    """Publish to new and old tables, give a run up, and remove what another left."""
    ways = [
        ("scores", IfExists.REPLACE),
        ("scores", IfExists.APPEND),
        ("new", IfExists.FAIL),
        ("theirs", IfExists.REPLACE),
    ]
    for number, (name, if_exists) in enumerate(ways):
        asked = publication(
            place, rows=5, if_exists=if_exists, job=f"job-{number}", name=name, id_columns=("id",),
            cascade_views=True,
        )  # fmt: skip
        place.warehouse.catalogue.resolve_output(f"{place.schema}.{name}")
        place.warehouse.catalogue.check_output(
            asked.table, asked.columns, if_exists=if_exists, cascade_views=True
        )
        # Ids of its own: no key repeats where rows are appended.
        assert place.publisher.publish(asked, [part(10 * number, 10 * number + 5)]).is_new
    assert place.publisher.abandon(asked.table, job="given-up", run=1)
    died = publication(place, rows=0, job="died").table
    staging = staging_for(died, "died", 1)
    with place.warehouse.publisher.server.transaction("dying", read_only=False) as cursor:  # type: ignore[attr-defined]
        make_staging(cursor, staging, publication(place, rows=0, job="died"), Build())
    for leftover in place.warehouse.publisher.leftovers():
        if leftover.table == staging:
            place.warehouse.publisher.remove(leftover)


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
    to = f"s3://{place.redshift.bucket}/{uuid.uuid4().hex}/"
    place.warehouse.unloader.unload(
        source, features=["r"], verbatim=[name, "day"], to=to, sizes=SIZES, alive=lambda: None
    )
    sampled = Selection(table, sample=RowSample(rows=20, seed=1, id_columns=(name,)))
    assert sum(batch.features.num_rows for batch in warehouse.reader.read(sampled, features=[name])) == 20


@REDSHIFT
def test_every_statement_is_redshifts_dialect_and_documented_with_its_rights(sent: list[str]) -> None:
    for statement in sent:
        parsed(statement)
    page = PAGE.read_text()
    assert {name for name in system_names(sent) if name not in page} == set()
    entries = documented(page)
    said = [as_documented(statement) for statement in sent]
    assert [it for it in said if not any(entry.fullmatch(it) for entry in entries)] == []
    assert [entry.pattern for entry in entries if not any(entry.fullmatch(it) for it in said)] == []


@REDSHIFT
def test_no_statement_of_the_code_is_missing_from_those_that_were_sent(sent: list[str]) -> None:
    said = [" ".join(statement.split()) for statement in sent]
    assert [it.pattern for it in composed() if not any(it.search(statement) for statement in said)] == []


@REDSHIFT
def test_no_statement_is_what_redshift_lacks(sent: list[str]) -> None:
    lacking = ("ARRAY", "FILTER (", "STDOUT", "SAVEPOINT", "RETURNING", "width_bucket", "generate_series")
    assert [sql for sql in sent if any(word in sql for word in lacking)] == []
    telling = re.compile("credential|secret|access_key|password", re.IGNORECASE)
    assert [sql for sql in sent if telling.search(sql)] == []
