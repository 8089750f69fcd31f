"""A place for the tests of the warehouse: a private PostgreSQL, and a schema for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
from tests.contract.private_postgres import PrivatePostgres, private_postgres

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.columns import SourceTable
from skfleet_common.tables import open_warehouse
from skfleet_common.tables.port import Parts, Publication, Published, Publisher, Selection, Warehouse


@dataclass(frozen=True)
class Streamed:
    """Rows for a warehouse that loads what is streamed through this process."""

    rows: Iterable[pa.RecordBatch]

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self.rows

    def files(self) -> AbstractContextManager[str | None]:
        raise AssertionError


@dataclass(frozen=True)
class PlacePublisher:
    """A warehouse's publisher, given rows as it takes them."""

    publisher: Publisher
    parts: Callable[[Iterable[pa.RecordBatch]], Parts] = Streamed

    def publish(
        self,
        asked: Publication,
        rows: Iterable[pa.RecordBatch],
        *,
        alive: Callable[[], None] = lambda: None,
    ) -> Published:
        return self.publisher.publish(asked, self.parts(rows), alive=alive)

    def abandon(self, table: TableName, *, job: str, run: int) -> bool:
        return self.publisher.abandon(table, job=job, run=run)


@dataclass(frozen=True)
class Place:
    """A schema of its own in a warehouse whose role is no superuser."""

    server: PrivatePostgres
    schema: str
    warehouse: Warehouse

    @property
    def publisher(self) -> PlacePublisher:
        """Publish rows here."""
        return PlacePublisher(self.warehouse.publisher)

    def sql(self, statement: str, *, as_superuser: bool = False) -> list[tuple[Any, ...]]:
        """Run statements in the schema, as the role that skfleet uses or as the superuser."""
        url = self.server.superuser_url if as_superuser else self.server.url
        with closing(psycopg2.connect(url, options=f"-c search_path={self.schema}")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def table(self, name: str) -> SourceTable:
        """Look a table of the schema up, by its exact name."""
        quoted = name.replace('"', '""')
        return self.warehouse.catalogue.find_table(f'{self.schema}."{quoted}"')

    def rows_of(self, name: str, where: str | None = None) -> Selection:
        """Select rows of a table of the schema."""
        return Selection(table=self.table(name), where=where)

    def tables(self) -> list[str]:
        """Name everything that the schema holds."""
        found = self.sql(
            "SELECT relname FROM pg_class "
            f"WHERE relnamespace = '{self.schema}'::regnamespace AND relkind <> 'i' ORDER BY 1"
        )
        return [name for (name,) in found]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PrivatePostgres]:
    """A PostgreSQL for the whole run."""
    with private_postgres() as server:
        yield server


@pytest.fixture
def place(postgres_server: PrivatePostgres) -> Iterator[Place]:
    """An empty schema, dropped again after the test."""
    schema = f"t_{uuid.uuid4().hex[:12]}"
    warehouse = open_warehouse(postgres_server.url, statement_seconds=60)
    here = Place(server=postgres_server, schema=schema, warehouse=warehouse)
    here.sql(f"CREATE SCHEMA {schema}")
    yield here
    here.sql(f"DROP SCHEMA {schema} CASCADE")
