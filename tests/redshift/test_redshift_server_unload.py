"""UNLOAD on the test server: files, manifest, types and refusals."""

from __future__ import annotations

import datetime
import io
import json
from contextlib import closing
from decimal import Decimal
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.redshift.place import RedshiftPlace
from tests.redshift.unload import Unloading


def unload(redshift: RedshiftPlace, query: str, options: str = "", *, prefix: str = "out/") -> str:
    quoted = query.replace("\\", "\\\\").replace("'", "''")
    return (
        f"UNLOAD ('{quoted}') TO 's3://{redshift.bucket}/{prefix}' IAM_ROLE '{redshift.iam_role}' "
        f"FORMAT AS PARQUET MANIFEST VERBOSE {options}"
    )


def manifest(redshift: RedshiftPlace, prefix: str = "out/") -> dict[str, Any]:
    return json.loads(redshift.s3.get_object(Bucket=redshift.bucket, Key=f"{prefix}manifest")["Body"].read())


def rows(redshift: RedshiftPlace, prefix: str = "out/") -> pa.Table:
    tables = []
    for entry in manifest(redshift, prefix)["entries"]:
        key = entry["url"].removeprefix(f"s3://{redshift.bucket}/")
        content = redshift.s3.get_object(Bucket=redshift.bucket, Key=key)["Body"].read()
        assert len(content) == entry["meta"]["content_length"]
        tables.append(pa.parquet.read_table(io.BytesIO(content)))
        assert tables[-1].num_rows == entry["meta"]["record_count"]
    return pa.concat_tables(tables)


def test_an_unload_writes_all_rows_and_a_manifest_that_counts_them(redshift: RedshiftPlace) -> None:
    redshift.seed(
        "CREATE TABLE t AS SELECT i AS id, md5(i::text) AS x FROM generate_series(1, 5000) i; "
        "GRANT SELECT ON t TO PUBLIC"
    )
    redshift.sql(
        unload(redshift, "SELECT id, x FROM t WHERE x <> 'it''s \\\\' AND id > 10", "MAXFILESIZE 32 MB")
    )
    found = manifest(redshift)
    assert found["meta"]["record_count"] == 4990
    assert found["author"]["name"] == "Amazon Redshift"
    assert [element["name"] for element in found["schema"]["elements"]] == ["id", "x"]
    assert len(found["entries"]) > 4
    assert sorted(rows(redshift)["id"].to_pylist()) == list(range(11, 5001))


def test_each_type_is_unloaded_as_redshift_does(redshift: RedshiftPlace) -> None:
    redshift.sql(
        "CREATE TABLE t (a smallint, b int, c bigint, d numeric(10,2), e real, f double precision, "
        "g boolean, h char(4), i varchar(10), j date, k timestamp, l timestamptz, m time, n super)"
    )
    redshift.sql(
        "INSERT INTO t VALUES (1, 2, 3, 4.25, 0.5, 1.0/3, true, 'x', '', '2024-02-29', "
        "'2024-01-01 10:00:00.5', "
        "'2024-01-01 10:00:00+02', '10:11:12', json_parse('{\"a\": 1}'))"
    )
    redshift.sql("INSERT INTO t (i) VALUES (NULL)")
    redshift.sql(unload(redshift, "SELECT * FROM t"))
    found = rows(redshift)
    [full] = [row for row in found.to_pylist() if row["a"] == 1]
    assert full == {
        "a": 1, "b": 2, "c": 3, "d": Decimal("4.25"), "e": 0.5, "f": 1 / 3, "g": True, "h": "x   ", "i": "",
        "j": datetime.date(2024, 2, 29), "k": datetime.datetime.fromisoformat("2024-01-01T10:00:00.5"),
        "l": datetime.datetime.fromisoformat("2024-01-01T08:00"), "m": datetime.time(10, 11, 12),
        "n": '{"a": 1}',
    }  # fmt: skip
    [empty] = [row for row in found.to_pylist() if row["a"] is None]
    assert set(empty.values()) == {None}
    elements = {e["name"]: e["type"] for e in manifest(redshift)["schema"]["elements"]}
    assert elements["d"] == {"base": "numeric", "precision": 10, "scale": 2}
    assert elements["i"] == {"base": "character varying", "max_length": 10}


def test_a_prefix_that_is_taken_is_refused(redshift: RedshiftPlace) -> None:
    redshift.sql(unload(redshift, "SELECT 1 AS a"))
    with pytest.raises(psycopg2.Error, match="Specified unload destination on S3 is not empty"):
        redshift.sql(unload(redshift, "SELECT 1 AS a"))


def test_an_unload_sees_what_its_own_transaction_wrote(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int)")
    with closing(redshift.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (7)")
        cursor.execute(unload(redshift, "SELECT id FROM t"))
        connection.rollback()
    assert rows(redshift)["id"].to_pylist() == [7]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("'SELECT 1 AS a') TO 's3://{bucket}/x' FORMAT PARQUET", "Must specify credentials"),
        ("'SELECT 1 AS a LIMIT 1') TO 's3://{bucket}/x' IAM_ROLE default PARQUET", "Limit clause is not"),
        ("'SELECT 1 AS a') TO 's3://{bucket}/x' IAM_ROLE default PARQUET MAXFILESIZE 1 MB", "between 5 MB"),
        ("'SELECT 1 AS a') TO 's3://{bucket}/x' IAM_ROLE default PARQUET GZIP", "GZIP is not supported"),
        ("'DELETE FROM t') TO 's3://{bucket}/x' IAM_ROLE default PARQUET", "syntax error"),
        ("'SELECT 1 AS a') TO 's3://nowhere-at-all/x' IAM_ROLE default PARQUET", "NoSuchBucket"),
        (
            "'SELECT 1 AS a') TO 's3://{bucket}/x' IAM_ROLE 'arn:aws:iam::123456789012:role/other' PARQUET",
            "is not authorized to assume IAM Role",
        ),
        ("'SELECT h FROM t') TO 's3://{bucket}/x' IAM_ROLE default PARQUET", "hllsketch to PARQUET is not"),
        ("'SELECT v FROM t') TO 's3://{bucket}/x' IAM_ROLE default PARQUET", "to PARQUET is not"),
    ],
)
def test_an_unload_is_refused(redshift: RedshiftPlace, statement: str, message: str) -> None:
    redshift.sql("CREATE TABLE t (h hllsketch, v varbyte(10))")
    with pytest.raises(psycopg2.Error, match=message):
        redshift.sql("UNLOAD (" + statement.format(bucket=redshift.bucket))
    assert redshift.objects() == []


def test_a_role_without_rights_is_named_with_s3s_own_error(redshift: RedshiftPlace) -> None:
    redshift.server.refused_actions.add("s3:PutObject")
    with pytest.raises(
        psycopg2.errors.InternalError_, match="S3ServiceException:Access Denied,Status 403"
    ) as caught:
        redshift.sql(unload(redshift, "SELECT 1 AS a"))
    assert "Failed to initialize S3 output stream" in caught.value.diag.message_detail


def test_a_refused_unload_aborts_its_transaction(redshift: RedshiftPlace) -> None:
    with closing(redshift.connect()) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.Error, match="Limit clause is not supported"):
            cursor.execute(unload(redshift, "SELECT 1 AS a LIMIT 1"))
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
            cursor.execute("SELECT 1")


def test_a_bucket_of_another_region_needs_its_name(redshift: RedshiftPlace) -> None:
    elsewhere = f"{redshift.bucket}-eu"
    redshift.s3.create_bucket(Bucket=elsewhere, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    statement = f"UNLOAD ('SELECT 1 AS a') TO 's3://{elsewhere}/x' IAM_ROLE default PARQUET"
    with pytest.raises(psycopg2.Error, match="Error PermanentRedirect"):
        redshift.sql(statement)
    redshift.sql(f"{statement} REGION 'eu-west-1'")


def test_a_result_without_rows_has_a_manifest_and_no_file_unless_the_test_says_otherwise(
    redshift: RedshiftPlace,
) -> None:
    redshift.sql(unload(redshift, "SELECT 1 AS a WHERE false"))
    assert manifest(redshift)["entries"] == []
    redshift.server.unloading = Unloading(manifest_of_nothing=False)
    redshift.sql(unload(redshift, "SELECT 1 AS a WHERE false", prefix="nothing/"))
    assert redshift.objects() == ["out/manifest"]


def test_row_groups_and_slices_are_as_asked_for(redshift: RedshiftPlace) -> None:
    redshift.seed(
        "CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 50000) i; GRANT SELECT ON t TO PUBLIC"
    )
    redshift.sql(unload(redshift, "SELECT id FROM t ORDER BY id", "PARALLEL OFF ROWGROUPSIZE 64 MB"))
    [key] = [key for key in redshift.objects() if key.endswith("000.parquet")]
    content = redshift.s3.get_object(Bucket=redshift.bucket, Key=key)["Body"].read()
    assert pa.parquet.ParquetFile(io.BytesIO(content)).num_row_groups > 2
    assert pa.parquet.read_table(io.BytesIO(content))["id"].to_pylist() == list(range(1, 50_001))
    redshift.server.unloading = Unloading(slices=5)
    redshift.sql(unload(redshift, "SELECT id FROM t", "CLEANPATH"))
    assert len(redshift.objects()) == 6
