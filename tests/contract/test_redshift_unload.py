"""Unloading from Redshift: what the files hold, and what is refused."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql
from tests.contract.redshift_statements import parsed
from tests.contract.warehouse_place import REDSHIFT, RedshiftSchema

from skfleet_common.aws.user_files import UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.errors import EnvironmentFault, Refused, TryAgain
from skfleet_common.contracts.file_sources import FileFormat, FilesSource
from skfleet_common.contracts.slices import ObjectPart, ObjectSlice, RowGroups
from skfleet_common.files.reader import SliceReader
from skfleet_common.tables.port import Selection, SourceBatch
from skfleet_common.tables.redshift.unload_statement import quoted
from skfleet_common.tables.unload_sizes import UnloadSizes

SIZES = UnloadSizes(file_megabytes=32, group_megabytes=32, group_rows=1_000)


def unload(
    place: RedshiftSchema, source: Selection, features: list[str], verbatim: list[str], to: str = "u/"
) -> int:
    return place.warehouse.unloader.unload(
        source, features=features, verbatim=verbatim, to=f"s3://{place.redshift.bucket}/{to}", sizes=SIZES,
        alive=lambda: None,
    )  # fmt: skip


def manifest(place: RedshiftSchema, to: str = "u/") -> dict[str, Any]:
    found = place.redshift.s3.get_object(Bucket=place.redshift.bucket, Key=f"{to}manifest")
    return json.loads(found["Body"].read())


def unloaded(
    place: RedshiftSchema, source: Selection, features: list[str], verbatim: list[str], to: str = "u/"
) -> list[SourceBatch]:
    """Unload, and read the files as workers do."""
    rows = unload(place, source, features, verbatim, to)
    s3 = place.redshift.s3
    columns = place.warehouse.unloader.columns(source.table, features=features, verbatim=verbatim)
    parts = []
    for entry in manifest(place, to)["entries"]:
        key = entry["url"].removeprefix(f"s3://{place.redshift.bucket}/")
        found = s3.get_object(Bucket=place.redshift.bucket, Key=key)
        groups = pq.ParquetFile(io.BytesIO(found["Body"].read())).metadata.num_row_groups
        parts.append(
            ObjectPart(
                uri=entry["url"], etag=found["ETag"], size_bytes=found["ContentLength"],
                span=RowGroups(first=0, stop=groups),
            )
        )  # fmt: skip
    files = FilesSource(format=FileFormat.PARQUET, columns=columns, files=len(parts), size_bytes=0)
    reader = SliceReader(UserObjects(UserFiles(s3, "the emulator")), files)
    batches = list(reader.read(ObjectSlice(parts=tuple(parts)), features=features, verbatim=verbatim))
    assert sum(batch.features.num_rows for batch in batches) == rows
    return batches


def selected(
    place: RedshiftSchema, source: Selection, features: list[str], verbatim: list[str]
) -> list[SourceBatch]:
    return list(place.warehouse.reader.read(source, features=features, verbatim=verbatim))


def table_of(batches: list[SourceBatch]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give features and verbatim texts in the order of the ids."""
    features = pa.Table.from_batches([batch.features for batch in batches]).to_pylist()
    verbatim = pa.Table.from_batches([batch.verbatim for batch in batches]).to_pylist()
    order = sorted(range(len(verbatim)), key=lambda row: int(verbatim[row]["id"]))
    return [features[row] for row in order], [verbatim[row] for row in order]


FEATURES = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"]
#: An odd one of each type, and NULLs.
ALL_TYPES = """
CREATE TABLE everything (id bigint NOT NULL, a smallint, b int, c bigint, d numeric(18,10), e real,
  f double precision, g boolean, h char(4), i varchar(40), j date, k timestamp, l timestamptz, m time,
  n timetz, o super);
INSERT INTO everything VALUES
  (1, 32767, -2147483648, 9223372036854775807, 0.1234567891, 0.1, 0.1, true, 'x', '', '2024-02-29',
   '2024-01-01 10:00:00.5', '2024-01-01 10:00:00.123456+02', '10:11:12.5', '10:11:12+02', NULL),
  (2, -1, 0, -9223372036854775808, -99999999.9999999999, 3.4028235e38, 1e300, false, 'ab  ', '  blanks  ',
   '1800-01-01', '1677-01-01 00:00:00', '2300-12-31 23:59:59-08', '00:00:00', '00:00:00-08', NULL),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, 0, 1, 2, 0.0000000001, -0.0, 5e-324, true, '', 'quote '' and \\\\ and ü €', '9999-12-31',
   '9999-12-31 23:59:59.999999', '1970-01-01 00:00:00+00', '23:59:59.999999', '23:59:59.999999+14', NULL)
"""


@REDSHIFT
def test_every_type_is_unloaded_as_select_reads_it(place: RedshiftSchema) -> None:
    place.sql(ALL_TYPES)
    source = place.rows_of("everything")
    verbatim = ["id", *FEATURES, "n"]
    expected = table_of(selected(place, source, FEATURES, verbatim))
    found = table_of(unloaded(place, source, FEATURES, verbatim))
    assert found[0] == expected[0]
    assert found[1] == expected[1]


@REDSHIFT
def test_floating_point_numbers_are_carried_as_one_text(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int, d double precision, r real)")
    place.sql(
        "INSERT INTO t VALUES (1, 'NaN', 'NaN'), (2, 'Infinity', '-Infinity'), (3, 1e23, 1e10),"
        " (4, 1e-7, 0.0001), (5, '-0', '-0'), (6, 123456789012345680, 16777216), (7, 0.1, 0.1)"
    )
    source, verbatim = place.rows_of("t"), ["id", "d", "r"]
    expected = table_of(selected(place, source, [], verbatim))
    assert table_of(unloaded(place, source, [], verbatim)) == expected
    assert [row["d"] for row in expected[1]][:4] == ["nan", "inf", "1e+23", "1e-7"]


@REDSHIFT
def test_json_is_carried_along_as_its_text(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int, o super)")
    place.sql("INSERT INTO t VALUES (1, json_parse('{\"a\": [1, null]}'))")
    source = place.rows_of("t")
    expected = table_of(selected(place, source, [], ["id", "o"]))
    assert table_of(unloaded(place, source, [], ["id", "o"])) == expected


@REDSHIFT
def test_only_the_columns_that_are_needed_and_the_rows_that_are_asked_for_are_written(
    place: RedshiftSchema,
) -> None:
    place.seed(
        "CREATE TABLE wide AS SELECT i AS id, i * 2 AS x, i::text AS secret FROM generate_series(1, 100) i"
    )
    source = Selection(
        table=place.table("wide"), where=place.warehouse.catalogue.check_where(place.table("wide"), "id > 40")
    )
    assert unload(place, source, ["x"], ["id"]) == 60
    found = manifest(place)
    assert len(found["schema"]["elements"]) == 2
    (statement,) = [it for it in place.redshift.server.statements if it.startswith("UNLOAD")]
    inner = re.search(r"UNLOAD \('(.*)'\) TO ", statement, re.DOTALL)[1].replace("''", "'")
    parsed(inner.replace("\\\\", "\\"))
    assert found["meta"]["record_count"] == 60


@REDSHIFT
def test_a_place_that_is_taken_is_refused_and_left_as_it_is(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int)")
    place.sql("INSERT INTO t VALUES (1)")
    unload(place, place.rows_of("t"), [], ["id"])
    before = place.redshift.objects()
    with pytest.raises(Refused, match=r"there are files below s3://.* already"):
        unload(place, place.rows_of("t"), [], ["id"])
    assert place.redshift.objects() == before


@REDSHIFT
def test_a_missing_right_is_named(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int)")
    for action in ("s3:PutObject", "s3:ListBucket"):
        place.redshift.server.refused_actions.add(action)
        with pytest.raises(Refused, match=f"the bucket {place.redshift.bucket} with .*{action}"):
            unload(place, place.rows_of("t"), [], ["id"])
        place.redshift.server.refused_actions.clear()
    place.redshift.server.roles = frozenset()
    with pytest.raises(Refused, match="may not assume the IAM role"):
        unload(place, place.rows_of("t"), [], ["id"])


@REDSHIFT
def test_a_row_that_cannot_be_read_is_told_with_the_way_that_sets_it_aside(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int)")
    place.sql("INSERT INTO t VALUES (0), (1)")
    place.sql("CREATE VIEW divided AS SELECT id, 1 / id AS x FROM t")
    with pytest.raises(Refused, match=r"divided \(division by zero\), .* use --read select, which sets them"):
        unload(place, place.rows_of("divided"), ["x"], ["id"])


@REDSHIFT
def test_credentials_that_expire_are_said_to_have_expired(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int)")
    place.redshift.server.expire_role_session()
    with pytest.raises(TryAgain, match="credentials with which Redshift wrote to S3 expired"):
        unload(place, place.rows_of("t"), [], ["id"])


@REDSHIFT
def test_a_bucket_that_is_not_there_is_said_to_be_missing(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int)")
    with pytest.raises(EnvironmentFault, match="SKFLEET_BUCKET"):
        place.warehouse.unloader.unload(
            place.rows_of("t"), features=[], verbatim=["id"], to="s3://no-such-bucket-here/u/", sizes=SIZES,
            alive=lambda: None,
        )  # fmt: skip


@REDSHIFT
def test_a_bucket_in_another_region_is_told_with_what_to_do(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int)")
    elsewhere = f"{place.redshift.bucket}-eu"
    place.redshift.s3.create_bucket(
        Bucket=elsewhere, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    told = r"in another region than Redshift, so .*t was not unloaded; give the fleet a bucket in Redshift's"
    with pytest.raises(Refused, match=told):
        place.warehouse.unloader.unload(
            place.rows_of("t"), features=[], verbatim=["id"], to=f"s3://{elsewhere}/u/", sizes=SIZES,
            alive=lambda: None,
        )  # fmt: skip
    assert place.redshift.s3.list_objects_v2(Bucket=elsewhere)["KeyCount"] == 0


#: A process of its own, for the driver holds the interpreter while it asks the server to cancel.
INTERRUPTED = """
import sys
from skfleet_common.tables import open_warehouse
from skfleet_common.tables.port import Selection
from skfleet_common.tables.unload_sizes import UnloadSizes

url, role, table, to = sys.argv[1:]
warehouse = open_warehouse(url, statement_seconds=60, iam_role=role)
beats = iter(range(3))

def alive():
    if next(beats, None) is None:
        raise KeyboardInterrupt

try:
    warehouse.unloader.unload(
        Selection(warehouse.catalogue.find_table(table)), features=[], verbatim=["id"], to=to,
        sizes=UnloadSizes(32, 32, 1000), alive=alive,
    )
except KeyboardInterrupt:
    print("interrupted")
"""


@REDSHIFT
def test_an_interrupt_cancels_the_statement_in_redshift(place: RedshiftSchema) -> None:
    place.sql("CREATE TABLE t (id int)")
    place.redshift.server.slow("^UNLOAD", 60)
    to = f"s3://{place.redshift.bucket}/u/"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, place.url, place.redshift.iam_role, f"{place.schema}.t", to],
        capture_output=True, text=True, timeout=50, check=True,
    )  # fmt: skip
    assert done.stdout == "interrupted\n"
    assert time.monotonic() - began < 40
    assert place.redshift.objects() == []


ODD = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20
) | st.sampled_from(["it's", "\\", "\\'", "'; DROP TABLE t; --", '"', "%s {} $1", "a\nb", "\\\\''\\"])


@REDSHIFT
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ODD, name=ODD)
def test_names_and_texts_reach_redshift_through_both_quotes(
    place: RedshiftSchema, text: str, name: str
) -> None:
    column = sql.Identifier(name[:12])
    with place.warehouse.reader.server.transaction("quoting", read_only=False) as cursor:
        inner = sql.SQL("SELECT {} AS {}").format(quoted(text), column).as_string(cursor)
        cursor.execute(inner)
        assert cursor.fetchall() == [(text,)]
        cursor.execute(sql.SQL("SELECT {}").format(quoted(inner)))
        assert cursor.fetchall() == [(inner,)]


@REDSHIFT
@pytest.mark.parametrize(
    "name", ["it's", 'say "x"', "back\\slash", "ünï €", "Select", "CamelCase", "a b%s{}"]
)
def test_a_table_and_columns_may_be_called_anything(place: RedshiftSchema, name: str) -> None:
    column = '"' + name.replace('"', '""') + '"'
    place.seed(f"CREATE TABLE {column} (id int, {column} text)")
    place.seed(f"INSERT INTO {column} VALUES (1, 'it''s'), (2, 'not')")
    table = place.table(name)
    where = place.warehouse.catalogue.check_where(table, f"{column} = 'it''s'")
    _, verbatim = table_of(unloaded(place, Selection(table=table, where=where), [name], ["id", name]))
    assert verbatim == [{"id": "1", name: "it's"}]
