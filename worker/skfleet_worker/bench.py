"""The workbench: what a scorer works with, made once for each process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from skfleet_common.aws.logins import RedshiftLogins
from skfleet_common.aws.session import Cloud, connect_cloud
from skfleet_common.aws.trust import Trust
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings
from skfleet_common.tables import open_warehouse
from skfleet_common.tables.port import Warehouse
from skfleet_worker.folders import cache_folder, fresh_seat
from skfleet_worker.models import Models
from skfleet_worker.protocol import Assignment
from skfleet_worker.sources import Sources


def _always_held() -> None:
    """Nobody else can have what was given without a queue."""


@dataclass(frozen=True)
class Workbench:
    """Clients, caches and the scratch folder of one scorer."""

    settings: Settings
    worker: str
    cloud: Cloud
    warehouse: Warehouse
    models: Models
    sources: Sources
    scratch: Path
    #: Tells the supervisor that a stage or batch is through, with the rows scored so far.
    report: Callable[[int], None]
    #: Raises LeaseLost when the delivery at hand may be another worker's: to be called before every effect.
    check_lease: Callable[[], None]
    #: Rows to hold at a time, for the delivery at hand.
    batch_rows: int
    #: How often that was delivered, and what went wrong with it on this worker.
    attempts: int = 1
    trouble: str | None = None

    def laid_out(self, assignment: Assignment) -> Workbench:
        """Give the bench as this assignment wants it."""
        return replace(
            self,
            batch_rows=assignment.batch_rows or self.settings.batch_rows,
            attempts=assignment.attempts,
            trouble=assignment.trouble,
        )

    @classmethod
    def set_up(
        cls,
        settings: Settings,
        *,
        worker: str,
        seat: int,
        report: Callable[[int], None],
        check_lease: Callable[[], None] = _always_held,
    ) -> Workbench:
        """Make the bench in the process that will use it: clients do not survive a fork.

        Raises:
            EnvironmentFault: fleet, warehouse or cache folder are not there.
        """
        if settings.warehouse_url is None:
            raise EnvironmentFault(
                "No warehouse is set; set SKFLEET_WAREHOUSE_URL, for example from `skfleet local env`."
            )
        cloud = connect_cloud(settings)
        warehouse = open_warehouse(
            settings.warehouse_url,
            statement_seconds=settings.statement_seconds,
            logins=RedshiftLogins(settings),
            iam_role=settings.redshift_iam_role,
        )
        cache = cache_folder(settings)
        return cls(
            settings=settings,
            worker=worker,
            cloud=cloud,
            warehouse=warehouse,
            models=Models(cloud, cache, Trust.of(settings)),
            sources=Sources(cloud, warehouse.catalogue),
            scratch=fresh_seat(cache, worker, seat),
            report=report,
            check_lease=check_lease,
            batch_rows=settings.batch_rows,
        )
