"""One place for all trials of the slice that the ordinary tests play."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.chaos.place import Place
from tests.chaos.suite import warm_place


@pytest.fixture(scope="session")
def chaos() -> Iterator[Place]:
    """A place on which a job without any fault has gone well."""
    with warm_place() as place:
        yield place
