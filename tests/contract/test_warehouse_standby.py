"""A standby: after a failover a publication waits for its promotion, and is not given up."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest
from tests.contract.private_postgres import private_postgres
from tests.contract.publications import COLUMNS, part
from tests.contract.warehouse_place import Place, PlacePublisher

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused, TryAgain
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables import open_warehouse
from skfleet_common.tables.port import Publication
from skfleet_common.tables.postgres.connect import Server


def test_a_publication_waits_until_a_standby_is_promoted() -> None:
    asked = Publication(
        job="job-1",
        run=1,
        table=TableName(schema_name="public", name="scores"),
        columns=COLUMNS,
        if_exists=IfExists.FAIL,
        rows=10,
    )
    with private_postgres(as_standby=True) as server:
        publisher = PlacePublisher(open_warehouse(server.url, statement_seconds=60).publisher)
        with pytest.raises(TryAgain, match="is a standby, which takes no writes, while"):
            publisher.publish(asked, [part(0, 10)])
        # Neither may it be given up there: nobody could write that down.
        with pytest.raises(TryAgain, match="is a standby"):
            publisher.abandon(asked.table, job=asked.job, run=asked.run)
        with closing(psycopg2.connect(server.superuser_url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_promote()")
        assert publisher.publish(asked, [part(0, 10)]).is_new


@pytest.mark.parametrize(("read_only", "error"), [(False, TryAgain), (True, Refused)])
def test_only_a_transaction_that_was_to_write_takes_read_only_for_a_standby(
    place: Place, *, read_only: bool, error: type[Exception]
) -> None:
    server = Server.at(place.server.url, statement_seconds=60)
    with pytest.raises(error), server.transaction("trying", read_only=read_only) as cursor:
        cursor.execute("SET TRANSACTION READ ONLY; CREATE TABLE nowhere (a int)")
