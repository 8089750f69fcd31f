"""The stack on which every end-to-end test runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.world import World, clean_environment

from skfleet.api import connect
from skfleet.flights import load_flights
from skfleet.local.stack import Stack
from skfleet.progress import Silent
from skfleet_common.settings import Settings


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
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
