"""The stacks on which every end-to-end test runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from skfleet.api import connect
from skfleet.flights import load_flights
from skfleet.local.stack import Stack
from skfleet.progress import Silent
from skfleet_common.settings import Settings
from tests.contract.aws_emulator import aws_endpoint
from tests.e2e.redshift_world import redshift_world
from tests.e2e.world import World, clean_environment
from tests.redshift.place import redshift_and_certificate
from tests.redshift.server import RedshiftServer

__all__ = ["aws_endpoint", "redshift_and_certificate"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``on_redshift`` in both worlds."""
    marker = metafunc.definition.get_closest_marker("on_redshift")
    if marker is None or marker.args == ("never",):
        return
    slow = [] if marker.args == ("always",) else [pytest.mark.slow]
    worlds = ["postgresql", pytest.param("redshift", marks=slow)]
    metafunc.parametrize("world", worlds, indirect=True, scope="package")


@pytest.fixture(scope="package")
def world(request: pytest.FixtureRequest) -> World:
    """Give the stack with PostgreSQL, or the fleet on Redshift where a test runs on both."""
    found: World = request.getfixturevalue(f"world_of_{getattr(request, 'param', 'postgresql')}")
    return found


@pytest.fixture(scope="package")
def world_of_postgresql() -> Iterator[World]:
    """A stack with two workers and the flights table; stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="skfleet-e2e-") as folder:
        Path(folder).chmod(0o755)  # so that the unprivileged PostgreSQL gets in
        home = Path(folder) / ".skfleet"
        stack = Stack(home)
        try:
            stack.up(workers=2, durable=False)
            fleet = connect(Settings.load(clean_environment() | {"SKFLEET_HOME": str(home)}))
            dsn = str(fleet.settings.warehouse_url)
            load_flights(dsn, Silent())
            yield World(home=home, fleet=fleet, dsn=dsn)
        finally:
            stack.down()


@pytest.fixture(scope="package")
def world_of_redshift(
    redshift_and_certificate: tuple[RedshiftServer, object],
    aws_endpoint: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """A fleet with two workers and the flights table in a Redshift; its workers end with it."""
    server, _ = redshift_and_certificate
    with redshift_world(server, aws_endpoint, tmp_path_factory.mktemp("redshift-world")) as world:
        yield world
