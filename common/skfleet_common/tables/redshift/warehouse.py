"""A Redshift warehouse, put together."""

from __future__ import annotations

from skfleet_common.contracts.logins import Logins
from skfleet_common.tables.port import Warehouse
from skfleet_common.tables.redshift.catalogue import RedshiftCatalogue
from skfleet_common.tables.redshift.connect import Server
from skfleet_common.tables.redshift.keys import RedshiftKeys
from skfleet_common.tables.redshift.publisher import RedshiftPublisher
from skfleet_common.tables.redshift.reader import RedshiftReader


def open_redshift(
    url: str, *, statement_seconds: int, logins: Logins | None, iam_role: str | None
) -> Warehouse:
    """Give the warehouse at ``url``; nothing is connected, and no login asked for, before its first use."""
    server = Server.at(url, statement_seconds=statement_seconds, logins=logins)
    return Warehouse(
        address=server.address,
        catalogue=RedshiftCatalogue(server, iam_role),
        keys=RedshiftKeys(server),
        reader=RedshiftReader(server),
        publisher=RedshiftPublisher(server, iam_role),
        # What UNLOAD writes, COPY reads; of zstd in Parquet, the Amazon Redshift guide says nothing.
        codec="snappy",
    )
