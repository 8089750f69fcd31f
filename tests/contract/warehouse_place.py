"""A place for the tests of the warehouse: a private PostgreSQL, and a schema for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
from tests.contract.private_postgres import PrivatePostgres, private_postgres
from tests.redshift.place import RedshiftPlace

from skfleet_common.aws.rows_at_hand import RowsAtHand
from skfleet_common.aws.store import ObjectStore
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
    #: What a model's text is called in the catalogue.
    text: str = "text"

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

    @property
    def url(self) -> str:
        """The address that skfleet is given."""
        return self.server.url

    def seed(self, statement: str) -> list[tuple[Any, ...]]:
        """Run statements of PostgreSQL's dialect in the schema, as the role that skfleet uses."""
        return self.sql(statement)

    def statements(self) -> AbstractContextManager[list[str]]:
        """Write down what skfleet sends; the list has it after the block."""
        return self.server.statements()

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


@dataclass(frozen=True)
class RedshiftSchema(Place):
    """A schema and a bucket of its own in a Redshift."""

    text: str = "character varying(65535)"
    redshift: RedshiftPlace | None = None

    @property
    def publisher(self) -> PlacePublisher:
        """Publish rows here by way of the bucket."""
        store = ObjectStore(self.redshift.s3, self.redshift.bucket, "the emulator")
        return PlacePublisher(
            self.warehouse.publisher, lambda rows: RowsAtHand(rows, store, lambda name: f"load/{name}")
        )

    def sql(self, statement: str, *, as_superuser: bool = False) -> list[tuple[Any, ...]]:
        """Run statements in the schema, in Redshift's dialect, or in PostgreSQL's as the superuser."""
        return self.redshift.seed(statement) if as_superuser else self.redshift.sql(statement)

    @property
    def url(self) -> str:
        """See :attr:`Place.url`."""
        return address_of(self.redshift)

    def seed(self, statement: str) -> list[tuple[Any, ...]]:
        """See :meth:`Place.seed`; the backend is a PostgreSQL."""
        return self.redshift.seed(f"SET ROLE fleet_owner; {statement}")

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """See :meth:`Place.statements`."""
        said, begun = list[str](), len(self.redshift.server.statements)
        yield said
        said += self.redshift.server.statements[begun:]

    def tables(self) -> list[str]:
        """Name everything that the schema holds."""
        return self.redshift.tables()


#: Of the warehouses that a test asks for with ``indirect``.
BOTH = pytest.mark.parametrize("place", ["postgres", "redshift"], indirect=True)
REDSHIFT = pytest.mark.parametrize("place", ["redshift"], indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An empty schema, dropped again after the test; in PostgreSQL, if the test asks for nothing else."""
    if getattr(request, "param", "postgres") == "redshift":
        redshift: RedshiftPlace = request.getfixturevalue("redshift")
        yield RedshiftSchema(None, redshift.schema, open_redshift_at(redshift), redshift=redshift)
        return
    server: PrivatePostgres = request.getfixturevalue("postgres_server")
    schema = f"t_{uuid.uuid4().hex[:12]}"
    here = Place(server=server, schema=schema, warehouse=open_warehouse(server.url, statement_seconds=60))
    here.sql(f"CREATE SCHEMA {schema}")
    yield here
    here.sql(f"DROP SCHEMA {schema} CASCADE")


def address_of(redshift: RedshiftPlace) -> str:
    """Give a test server's address; its certificate is no one's."""
    return redshift.url.replace("postgresql", "redshift") + "?sslmode=disable"


def open_redshift_at(redshift: RedshiftPlace) -> Warehouse:
    """Open a test server as a warehouse."""
    return open_warehouse(address_of(redshift), statement_seconds=60, iam_role=redshift.iam_role)
