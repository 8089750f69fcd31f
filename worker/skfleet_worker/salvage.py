"""Salvage: what becomes of work whose scorer was lost with it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from skfleet_common.settings import Settings
from skfleet_worker.backoff import backoff_seconds
from skfleet_worker.batches import Batches
from skfleet_worker.crew import Ended
from skfleet_worker.intake import Intake
from skfleet_worker.mail import Mail
from skfleet_worker.oom import OomKills
from skfleet_worker.protocol import Assignment
from skfleet_worker.work import Work

RAN_OUT_OF_MEMORY = "ran out of memory"

log = structlog.get_logger()


class Salvage:
    """Again here in smaller batches, again later anywhere, or recorded as failed for good."""

    def __init__(
        self,
        settings: Settings,
        mail: Mail,
        intake: Intake,
        *,
        note: Callable[[Assignment, str], None],
    ) -> None:
        self._max_attempts = settings.max_attempts
        self._mail = mail
        self._intake = intake
        #: Is told of every attempt that is lost, and why.
        self._note = note
        self._batches = Batches(settings.batch_rows)
        self._oom_kills = OomKills()

    def begin(self, work: Work, now: float) -> None:
        """Note what is needed later, of work that is about to begin."""
        self._batches.fit(work)
        work.begin(now, oom_kills=self._oom_kills.count())

    def after_death(self, work: Work, ended: Ended) -> None:
        """Its scorer died, by nothing that the supervisor did."""
        if not ended.was_killed:
            self._again(work, ended.how)
        elif self._has_killed_for_memory(work):
            self._smaller(work, RAN_OUT_OF_MEMORY, is_memory=True)
        else:
            # Nobody may say so, but it is most often the memory: of the host, which no cgroup counts.
            self._smaller(work, ended.how, is_memory=False)

    def after_memory_error(self, work: Work) -> None:
        """Its scorer could not get the memory it asked for."""
        self._smaller(work, RAN_OUT_OF_MEMORY, is_memory=True)

    def after_silence(self, work: Work) -> None:
        """Its scorer was killed because it was stuck."""
        self._again(work, f"reported nothing for {work.lease.allowance_seconds:g} seconds")

    def _has_killed_for_memory(self, work: Work) -> bool:
        count = self._oom_kills.count()
        return count is not None and work.oom_kills is not None and count > work.oom_kills

    def _smaller(self, work: Work, how: str, *, is_memory: bool) -> None:
        """Try a chunk again here, under the same lease, as long as that is a remedy."""
        size = self._batches.shrink(work, how, lastingly=is_memory)
        if size is None:
            self._again(work, how)
            return
        self._note(work.assignment, f"its scoring process {how}; it goes on in batches of {size:,} rows")
        log.warning("chunk.shrunk", why=how, batch_rows=size, **work.fields)
        self._intake.put_back(work)

    def _again(self, work: Work, how: str) -> None:
        reason, attempt = f"its scoring process {how}", work.assignment.attempt
        self._note(work.assignment, reason)
        if attempt < self._max_attempts:
            self._mail.retry(work, delay_seconds=backoff_seconds(attempt), reason=reason)
        else:
            work.give_up(f"{reason} at attempt {attempt}")
            self._intake.put_back(work)
