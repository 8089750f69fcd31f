"""Boot: until a first scorer is ready, a worker that cannot work says why and ends."""

from __future__ import annotations

import structlog

from skfleet_common.contracts.errors import EnvironmentFault, UsageError
from skfleet_worker.crew import Ended, Scorer
from skfleet_worker.protocol import Unfit

#: Deaths of one scorer before any was ready, after which the worker gives up.
BOOT_DEATHS = 3
#: The same where a scorer says that what is in its way may pass: about two minutes.
PATIENT_DEATHS = 8

log = structlog.get_logger()


class Boot:
    """Whether any scorer was ever ready. After that, one that cannot start is tried again and again."""

    def __init__(self) -> None:
        self.is_over = False
        #: What a scorer waits for, if it has said so.
        self._passing = ""

    def on_unfit(self, scorer: Scorer, message: Unfit) -> None:
        """A scorer says that it cannot start, or not yet.

        Raises:
            EnvironmentFault, UsageError: with its sentence, if none could start so far.
        """
        log.error("scorer.unfit", scorer=scorer.pid, error=message.sentence)
        if message.may_pass:
            self._passing = message.sentence
        elif not self.is_over:
            fault = UsageError if message.exit_code == UsageError.exit_code else EnvironmentFault
            raise fault(message.sentence)

    def on_death(self, scorer: Scorer, ended: Ended) -> None:
        """A scorer died.

        Raises:
            EnvironmentFault: it did so again and again, and none could start so far.
        """
        if self.is_over or scorer.deaths < (PATIENT_DEATHS if self._passing else BOOT_DEATHS):
            return
        raise EnvironmentFault(
            self._passing or f"No scorer could start (the last one {ended.how}); the log above says why."
        )
