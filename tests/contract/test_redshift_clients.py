"""AWS's own driver, as an independent client, reads what was published."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from decimal import Decimal

import psycopg2.extensions
import pyarrow as pa
import redshift_connector
from tests.contract.publications import publication
from tests.contract.warehouse_place import REDSHIFT, Place
from tests.redshift.place import RedshiftPlace

from skfleet_common.contracts.jobs import OutputColumn

COLUMNS = tuple(
    OutputColumn(name=name, warehouse_type=kind, source=source)
    for name, kind, source in [
        ("id", "bigint", "id"), ("name", "varchar(20)", "carried"), ("price", "numeric(10,2)", "carried"),
        ("at", "timestamp", "carried"), ("flag", "boolean", "carried"), ("prediction", "text", "prediction"),
        ("proba", "double precision", "probability"),
    ]
)  # fmt: skip


@REDSHIFT
def test_redshift_connector_reads_what_was_published(redshift: RedshiftPlace, place: Place) -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "id": ["1", "2", "3"],
            "name": ["é日", "", None],
            "price": ["1234.50", "-0.01", None],
            "at": ["2024-02-29 23:59:59.123456", "1969-12-31 00:00:00", None],
            "flag": ["true", "false", None],
            "prediction": pa.array(["late", "", None]),
            "proba": pa.array([1 / 3, 5e-324, None]),
        }
    )
    place.publisher.publish(publication(place, rows=3, columns=COLUMNS), [batch])
    given = psycopg2.extensions.parse_dsn(redshift.url)
    with closing(
        redshift_connector.connect(
            host=given["host"], port=int(given["port"]), database=given["dbname"], user=given["user"],
            password=given["password"], ssl=False,
        )
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute(f'SELECT * FROM "{place.schema}"."scores" ORDER BY id')
        assert [bytes(column[0]).decode() if isinstance(column[0], bytes) else column[0]
                for column in cursor.description] == [column.name for column in COLUMNS]  # fmt: skip
        rows = [tuple(row) for row in cursor.fetchall()]
    moment = datetime.fromisoformat
    assert rows == [
        (1, "é日", Decimal("1234.50"), moment("2024-02-29T23:59:59.123456"), True, "late", 1 / 3),
        (2, "", Decimal("-0.01"), moment("1969-12-31T00:00:00"), False, "", 5e-324),
        (3, None, None, None, None, None, None),
    ]
