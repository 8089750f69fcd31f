"""COPY on the test server: positions, types, manifests and transactions."""

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


def put(redshift: RedshiftPlace, table: pa.Table, *, key: str = "in/a.parquet", **changes: Any) -> None:
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink)
    redshift.s3.put_object(Bucket=redshift.bucket, Key=key, Body=sink.getvalue())
    entry = {
        "url": f"s3://{redshift.bucket}/{key}",
        "mandatory": True,
        "meta": {"content_length": len(sink.getvalue())},
    }
    body = json.dumps({"entries": [entry | changes]})
    redshift.s3.put_object(Bucket=redshift.bucket, Key="m.json", Body=body)


def copy(redshift: RedshiftPlace, table: str = "t") -> str:
    source = f"s3://{redshift.bucket}/m.json"
    return f"COPY {table} FROM '{source}' IAM_ROLE '{redshift.iam_role}' FORMAT AS PARQUET MANIFEST"


def test_a_copy_loads_by_position_within_the_clients_transaction(redshift: RedshiftPlace) -> None:
    redshift.sql("CREATE TABLE t (id int, x varchar(10), d numeric(6,2), at timestamp, on_day date)")
    at = datetime.datetime.fromisoformat("2024-01-01 12:30:00.000005")
    put(
        redshift,
        pa.table(
            {
                "ignored": pa.array([1, 2], pa.int32()),
                "names": pa.array(["", None]),
                "d": pa.array([Decimal("1.50"), None], pa.decimal128(6, 2)),
                "at": pa.array([at, None], pa.timestamp("us")),
                "day": pa.array([at.date(), None], pa.date32()),
            }
        ),
    )
    with closing(redshift.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(copy(redshift))
        assert "2 record(s) loaded successfully" in connection.notices[-1]
        cursor.execute("SELECT pg_last_copy_count()")
        assert cursor.fetchall() == [(2,)]
        cursor.execute("SELECT * FROM t ORDER BY id")
        assert cursor.fetchall() == [(1, "", Decimal("1.50"), at, at.date()), (2, None, None, None, None)]
        connection.rollback()
    assert redshift.sql("SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"id": pa.array([1], pa.int32())}, "Table columns: 2, Data columns: 1"),
        ({"id": pa.array([1], pa.int64()), "x": pa.array(["a"])}, "incompatible Parquet schema"),
        ({"id": pa.array([1], pa.int32()), "x": pa.array(["ééé"])}, "Table: 3, Data: 6"),
        ({"id": pa.array([None], pa.int32()), "x": pa.array(["a"])}, "NULL value"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_and_noted(
    redshift: RedshiftPlace, data: dict[str, pa.Array], message: str
) -> None:
    redshift.sql("CREATE TABLE t (id int NOT NULL, x varchar(3))")
    put(redshift, pa.table(data))
    with pytest.raises(psycopg2.errors.InternalError_, match="Spectrum Scan Error") as caught:
        redshift.sql(copy(redshift))
    assert message in caught.value.diag.message_detail
    noted = redshift.sql("SELECT error_message FROM sys_load_error_detail ORDER BY start_time DESC LIMIT 1")
    assert noted[0][0].strip()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meta": {}}, "content_length"),
        ({"meta": {"content_length": 1}}, "content_length 1 of the manifest is not the size"),
        ({"url": "s3://{bucket}/gone"}, "is mandatory in the manifest and does not exist"),
        ({"url": "s3://{bucket}/gone", "mandatory": False}, "No files found"),
    ],
)
def test_a_manifest_that_does_not_hold_is_refused(
    redshift: RedshiftPlace, changes: dict[str, Any], message: str
) -> None:
    redshift.sql("CREATE TABLE t (id int)")
    filled = {
        key: value.format(bucket=redshift.bucket) if isinstance(value, str) else value
        for key, value in changes.items()
    }
    put(redshift, pa.table({"id": pa.array([1], pa.int32())}), **filled)
    with pytest.raises(psycopg2.Error) as caught:
        redshift.sql(copy(redshift))
    assert message in str(caught.value)
    assert redshift.sql("SELECT count(*) FROM t") == [(0,)]
