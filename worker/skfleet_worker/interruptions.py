"""Interruptions: a thread that asks the instance metadata whether this host is about to go."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from skfleet_common.settings import Settings
from skfleet_worker.metadata import METADATA_FAULTS, InstanceMetadata

#: EC2's own advice: check for interruption notices every five seconds.
EVERY_SECONDS = 5.0
#: Failures in a row, before any answer, after which this may be no EC2 instance: it is asked seldom.
TRIES = 3
SELDOM_SECONDS = 60.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Interruption:
    """This host is about to go, or likely to."""

    why: str
    #: What is left; None when nobody knows.
    seconds: float | None = None


class Metadata(Protocol):
    """What the watch asks; both may raise METADATA_FAULTS."""

    def spot_seconds(self) -> float | None:
        """Give the seconds until the end; None: nobody said so."""

    def is_rebalance_recommended(self) -> bool:
        """Whether the end is likely."""


class InterruptionWatch:
    """Tells of each kind of notice once. It delays neither the start nor the end of a worker."""

    def __init__(
        self,
        metadata: Metadata,
        *,
        tell: Callable[[Interruption], None],
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._metadata = metadata
        self._tell = tell
        self._every_seconds = every_seconds
        self._has_recommended = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="interruptions", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; does not wait for a call that is under way."""
        self._stopped.set()

    @property
    def is_running(self) -> bool:
        """Whether anything may still be told."""
        return self._thread.is_alive()

    def _run(self) -> None:
        failures, has_answered = 0, False
        while not self._stopped.is_set():
            try:
                is_last = self._look()
            except METADATA_FAULTS as exc:
                failures += 1
                if failures == TRIES:
                    log.info("interruptions.unavailable", kind=type(exc).__name__)
            else:
                failures, has_answered = 0, True
                if is_last:
                    return
            is_elsewhere = failures >= TRIES and not has_answered
            self._stopped.wait(SELDOM_SECONDS if is_elsewhere else self._every_seconds)

    def _look(self) -> bool:
        """Ask once; gives whether there is nothing more to ask for."""
        seconds = self._metadata.spot_seconds()
        if seconds is not None:
            self._tell(Interruption("the spot instance is taken away", seconds))
            return True
        if not self._has_recommended and self._metadata.is_rebalance_recommended():
            self._has_recommended = True
            self._tell(Interruption("a rebalance is recommended"))
        return False


def interruption_watch(
    settings: Settings, *, tell: Callable[[Interruption], None], environ: Mapping[str, str] = os.environ
) -> InterruptionWatch | None:
    """Give the watch that the settings ask for; None where it is turned off, as for any AWS client.

    An address that somebody has set is asked, whatever keeps AWS clients from the usual one.
    """
    is_usual = "metadata_url" not in settings.model_fields_set
    is_disabled = environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    if settings.metadata_url == "off" or (is_usual and is_disabled):
        return None
    return InterruptionWatch(InstanceMetadata(settings.metadata_url), tell=tell)
