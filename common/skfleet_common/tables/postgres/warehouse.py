"""A PostgreSQL warehouse, put together."""

from __future__ import annotations

from skfleet_common.tables.port import Warehouse
from skfleet_common.tables.postgres.catalogue import PostgresCatalogue
from skfleet_common.tables.postgres.connect import Server
from skfleet_common.tables.postgres.keys import PostgresKeys
from skfleet_common.tables.postgres.publisher import PostgresPublisher
from skfleet_common.tables.postgres.reader import PostgresReader


def open_postgres(url: str, *, statement_seconds: int) -> Warehouse:
    """Give the warehouse at ``url``; nothing is connected before its first use."""
    server = Server.at(url, statement_seconds=statement_seconds)
    return Warehouse(
        address=server.address,
        catalogue=PostgresCatalogue(server),
        keys=PostgresKeys(server),
        reader=PostgresReader(server),
        publisher=PostgresPublisher(server),
    )
