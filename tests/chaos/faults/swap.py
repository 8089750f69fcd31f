"""A publication held up in mid-swap: all is loaded and swapped, and only the ledger's row is missing."""

from __future__ import annotations

from contextlib import suppress

import psutil
import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (a class with a lower-case name)
from tests.chaos.fault import Fault, Moment
from tests.chaos.trial import Trial
from tests.chaos.workers import Worker

LEDGER = "skfleet_publications"


class HeldSwap:
    """Keeps whoever publishes from writing to the ledger, which is the last thing before its COMMIT."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._session: Connection | None = None

    def hold(self) -> bool:
        """Hold it, again if the server was restarted; False while the server takes no sessions."""
        try:
            session = psycopg2.connect(self._trial.place.url)
        except psycopg2.OperationalError:
            return False
        with session.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {LEDGER} IN SHARE MODE")
        self._session = session
        return True

    def wait_for_backend(self) -> tuple[int, int]:
        """Give process id and client port of the backend that waits, once there is one."""

        def look() -> list[tuple[int, int]]:
            return self._trial.place.sql(
                "SELECT pid, client_port FROM pg_locks JOIN pg_stat_activity USING (pid) "
                f"WHERE relation = '{LEDGER}'::regclass AND NOT granted"
            )

        return self._trial.wait_for(look, "a publisher is in mid-swap")[0]

    def wait_for_publisher(self) -> tuple[Worker, psutil.Process]:
        """Give the worker and the scorer that wait, once there is one."""
        found = self._trial.wait_for(
            lambda: self._trial.who_is_at(self.wait_for_backend()[1]), "the publisher is found"
        )
        assert found is not None
        return found

    def let_go(self) -> None:
        """Let the publication go on."""
        if self._session is not None:
            with suppress(psycopg2.Error):
                self._session.close()


class InSwap(Fault):
    """A fault while a publication is held in mid-swap."""

    moment = Moment.IN_SWAP

    def arm(self, trial: Trial) -> None:
        self.swap = HeldSwap(trial)
        assert self.swap.hold(), "the database takes no sessions"

    def let_go(self, trial: Trial) -> None:
        self.swap.let_go()

    def mend(self, trial: Trial) -> None:
        self.swap.let_go()
