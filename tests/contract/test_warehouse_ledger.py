"""The ledger of publications: one that either warehouse's publisher made serves the other's."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from psycopg2.extensions import parse_dsn
from tests.contract.private_postgres import OWNER, PASSWORD
from tests.contract.publications import LEDGER, part, publication
from tests.contract.warehouse_place import PlacePublisher, RedshiftSchema, open_redshift_at
from tests.redshift.place import RedshiftPlace

from skfleet_common.contracts.errors import JobFailed, UsageError
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables import open_warehouse
from skfleet_common.tables.port import Published


def test_a_redshift_under_an_address_of_postgresql_is_told_apart(redshift: RedshiftPlace) -> None:
    """It would be read wrongly, and no publisher of PostgreSQL's could lock its ledger."""
    warehouse = open_warehouse(redshift.url + "?sslmode=disable", statement_seconds=60)
    with pytest.raises(UsageError, match=r"is a Redshift, not a PostgreSQL; write redshift://"):
        warehouse.catalogue.find_table(f"{redshift.schema}.scores")


@pytest.mark.parametrize("first", ["postgres", "redshift"])
def test_publishers_of_both_warehouses_keep_one_ledger(redshift: RedshiftPlace, first: str) -> None:
    """The test server's tables are a PostgreSQL's, which has the schema under both addresses."""
    given = parse_dsn(redshift.server.backend_url)
    url = f"postgresql://{OWNER}:{quote(PASSWORD)}@{given['host']}:{given['port']}/{given['dbname']}"
    postgres = PlacePublisher(open_warehouse(url, statement_seconds=60).publisher)
    place = RedshiftSchema(None, redshift.schema, open_redshift_at(redshift), redshift=redshift)
    made, other = (postgres, place.publisher) if first == "postgres" else (place.publisher, postgres)
    asked = publication(place, rows=5)
    given_up = publication(place, rows=5, job="given-up", if_exists=IfExists.APPEND)
    assert made.publish(asked, [part(0, 5)]) == Published(rows=5, is_new=True)
    assert made.abandon(asked.table, job="given-up", run=1)
    assert other.publish(asked, [part(0, 5)]) == Published(rows=5, is_new=False)
    with pytest.raises(JobFailed, match="was given up before"):
        other.publish(given_up, [part(5, 10)])
    more = publication(place, rows=5, job="job-2", name="more")
    assert other.publish(more, [part(0, 5)]) == Published(rows=5, is_new=True)
    for _ in range(2):
        assert other.abandon(asked.table, job="job-3", run=1)
    assert made.publish(more, [part(0, 5)]) == Published(rows=5, is_new=False)
    recorded = redshift.sql(f"SELECT DISTINCT job, run, abandoned FROM {LEDGER} ORDER BY 1")
    assert recorded == [("given-up", 1, True), ("job-1", 1, False), ("job-2", 1, False), ("job-3", 1, True)]
