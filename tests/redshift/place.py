"""A place for tests on Redshift: the server for the whole run, and a schema and a bucket for each test."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.contract.private_postgres import OWNER, PASSWORD, private_postgres
from tests.redshift.certificate import Certificate, make_certificate
from tests.redshift.server import ROLE, Account, RedshiftServer, redshift_server
from tests.redshift.storage import s3_client


@dataclass(frozen=True)
class RedshiftPlace:
    """A schema and a bucket of a test's own, in a Redshift whose user is no superuser."""

    server: RedshiftServer
    schema: str
    bucket: str
    #: The role that UNLOAD and COPY may name.
    iam_role: str = ROLE

    @property
    def url(self) -> str:
        """The address; ``sslmode`` is left to the client."""
        return self.server.url()

    def connect(self, **options: Any) -> Any:
        """Connect, with the schema first in the search path."""
        return psycopg2.connect(self.url, options=f"-c search_path={self.schema}", **options)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run statements in Redshift's dialect in the schema."""
        with closing(self.connect()) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def seed(self, statement: str) -> list[tuple[Any, ...]]:
        """Run statements in the backend, as its superuser and in PostgreSQL's dialect, in the schema."""
        return self.server.seed(f"SET search_path = {self.schema}; {statement}")

    def tables(self) -> list[str]:
        """Name the tables and views of the schema."""
        found = self.server.seed(
            f"SELECT relname FROM pg_class WHERE relnamespace = '{self.schema}'::regnamespace "
            "AND relkind IN ('r', 'v') ORDER BY 1"
        )
        return [name for (name,) in found]

    @property
    def s3(self) -> Any:
        """The emulator's S3."""
        return s3_client(self.server.s3_endpoint)

    def objects(self, prefix: str = "") -> list[str]:
        """Name the objects of the bucket."""
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]


@contextmanager
def private_redshift(s3_endpoint: str) -> Iterator[tuple[RedshiftServer, Certificate]]:
    """Start a server in front of a PostgreSQL of its own; it takes TLS and plain connections."""
    with tempfile.TemporaryDirectory(prefix="skfleet-redshift-") as folder, private_postgres() as postgres:
        certificate = make_certificate(Path(folder))
        accounts = {OWNER: Account(password=PASSWORD, role=OWNER, role_password=PASSWORD)}
        with redshift_server(
            postgres.superuser_url, s3_endpoint, accounts=accounts, tls=certificate.context
        ) as server:
            yield server, certificate


@pytest.fixture(scope="session")
def redshift_and_certificate(aws_endpoint: str) -> Iterator[tuple[RedshiftServer, Certificate]]:
    """A Redshift for the whole run, whose S3 is the emulator's."""
    with private_redshift(aws_endpoint) as found:
        yield found


@pytest.fixture
def redshift_certificate(redshift_and_certificate: tuple[RedshiftServer, Certificate]) -> Path:
    """The file with the server's certificate, for ``sslrootcert``."""
    return redshift_and_certificate[1].path


@pytest.fixture
def redshift(redshift_and_certificate: tuple[RedshiftServer, Certificate]) -> Iterator[RedshiftPlace]:
    """An empty schema and an empty bucket; faults that the test asked for are taken back after it."""
    server, _ = redshift_and_certificate
    name = f"t_{uuid.uuid4().hex[:12]}"
    here = RedshiftPlace(server=server, schema=name, bucket=name.replace("_", "-"))
    server.heal()
    here.sql(f"CREATE SCHEMA {name}")
    here.s3.create_bucket(Bucket=here.bucket)
    yield here
    server.kill_sessions()
    server.heal()
    server.seed(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def redshift_url(redshift: RedshiftPlace) -> str:
    """The address of the Redshift, with its user and password."""
    return redshift.url
