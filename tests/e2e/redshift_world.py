"""The whole of skfleet on a Redshift: a fleet and workers of the tests' own, driven by its command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from skfleet.api import Fleet
from skfleet.flights import load_flights
from skfleet.progress import Silent
from skfleet_common.aws.session import create_fleet
from tests.contract.aws_emulator import new_settings
from tests.contract.private_postgres import OWNER, PASSWORD
from tests.e2e.world import World, clean_environment
from tests.redshift.server import ROLE, RedshiftServer


@dataclass(frozen=True, eq=False)
class RedshiftWorld(World):
    """A fleet whose warehouse is a Redshift; ``dsn`` leads to the database behind it, as the same user."""

    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        told = {"fleet", "bucket", "aws_endpoint_url", "warehouse_url", "redshift_iam_role", "home"}
        settings = self.fleet.settings.model_dump(include=told, exclude_none=True)
        return {f"SKFLEET_{name.upper()}": str(value) for name, value in settings.items()}

    def scale(self, workers: int) -> None:
        for process in self.workers[workers:]:
            process.terminate()
            process.wait(60)
        del self.workers[workers:]
        for number in range(len(self.workers), workers):
            folder = self.home.parent / f"worker-{number}"
            folder.mkdir(exist_ok=True)
            more = {"SKFLEET_CACHE_DIR": str(folder), "SKFLEET_METADATA_URL": "off", "SKFLEET_SCORERS": "1"}
            with (folder / "log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "skfleet_worker", "run"],
                    env=clean_environment() | self.environment | {"SKFLEET_POLL_SECONDS": "1"} | more,
                    stderr=log,
                    cwd=folder,
                    start_new_session=True,
                )
            self.workers.append(process)


@contextmanager
def redshift_world(server: RedshiftServer, endpoint: str, folder: Path) -> Iterator[RedshiftWorld]:
    """Give a fleet with two workers, and the flights in its warehouse; the workers end with it."""
    behind = urlsplit(server.backend_url)
    owner = f"{OWNER}:{PASSWORD.replace(' ', '%20')}"
    dsn = behind._replace(netloc=f"{owner}@{behind.hostname}:{behind.port}").geturl()
    load_flights(dsn, Silent())
    settings = new_settings(endpoint).model_copy(
        update={
            "warehouse_url": server.url().replace("postgresql", "redshift") + "?sslmode=disable",
            "redshift_iam_role": ROLE,
            "home": folder / ".skfleet",
        }
    )
    create_fleet(settings)
    fleet = Fleet(settings)
    with closing(fleet.cloud):
        world = RedshiftWorld(home=folder / ".skfleet", fleet=fleet, dsn=dsn)
        try:
            world.scale(2)
            yield world
        finally:
            world.scale(0)
