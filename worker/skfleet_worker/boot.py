"""Boot: until a first scorer is ready, a worker that cannot work says why and ends."""

from __future__ import annotations

import structlog

from skfleet_common.contracts.errors import EnvironmentFault, UsageError
from skfleet_worker.crew import Ended, Scorer
from skfleet_worker.protocol import Unfit

#: Deaths of one scorer before any was ready, after which the worker gives up.
BOOT_DEATHS = 3

log = structlog.get_logger()


class Boot:
    """Whether any scorer was ever ready. After that, one that cannot start is tried again and again."""

    def __init__(self) -> None:
        self.is_over = False

    def on_unfit(self, scorer: Scorer, message: Unfit) -> None:
        """A scorer says that it cannot start.

        Raises:
            EnvironmentFault, UsageError: with its sentence, if none could start so far.
        """
        log.error("scorer.unfit", scorer=scorer.pid, error=message.sentence)
        if not self.is_over:
            fault = UsageError if message.exit_code == UsageError.exit_code else EnvironmentFault
            raise fault(message.sentence)

    def on_death(self, scorer: Scorer, ended: Ended) -> None:
        """A scorer died.

        Raises:
            EnvironmentFault: it did so again and again, and none could start so far.
        """
        if not self.is_over and scorer.deaths >= BOOT_DEATHS:
            raise EnvironmentFault(
                f"No scorer could start (the last one {ended.how}); the log above says why."
            )
