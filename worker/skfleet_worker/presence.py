"""Presence: the worker's own entry in the tracker, which says who works on what; it expires by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from platform import node
from typing import Protocol

import structlog

from skfleet_common.contracts.errors import SkfleetError
from skfleet_common.contracts.workers import Holding, WorkerPresence
from skfleet_common.model.versions import host_versions

#: The entry's expiry is kept in whole seconds.
MIN_TTL_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Seen:
    """What there is to announce, at one moment."""

    scorer_pids: tuple[int, ...] = ()
    working_on: tuple[str, ...] = ()
    holdings: tuple[Holding, ...] = ()


class Register(Protocol):
    """What presence needs of the tracker."""

    def announce(self, worker: WorkerPresence, *, ttl_seconds: float) -> None:
        """Write the entry; it expires after ``ttl_seconds``."""

    def retire(self, worker: str) -> None:
        """Remove the entry."""


class Presence:
    """Announces the worker with every heartbeat and on every change of its scorers, from its own thread."""

    def __init__(
        self,
        register: Register,
        *,
        worker: str,
        supervisor_pid: int,
        heartbeat_seconds: float,
        look: Callable[[], Seen],
        allow_joblib: bool = False,
    ) -> None:
        self._register = register
        self._worker = worker
        self._supervisor_pid = supervisor_pid
        self._heartbeat_seconds = heartbeat_seconds
        self._look = look
        self._allow_joblib = allow_joblib
        #: What the preflight compares with a bundle's versions.
        self._versions = host_versions()
        self._changed = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Announce now, and from now on."""
        self._changed.set()
        self._thread.start()

    def changed(self) -> None:
        """Announce again soon: the scorers are others than before."""
        self._changed.set()

    def retire(self) -> None:
        """Announce no more and take the entry away; it would expire by itself."""
        self._stopped = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._heartbeat_seconds)
        try:
            self._register.retire(self._worker)
        except SkfleetError as exc:
            log.warning("worker.not_retired", error=str(exc))

    def _run(self) -> None:
        while True:
            self._changed.wait(self._heartbeat_seconds)
            self._changed.clear()
            if self._stopped:
                return
            try:
                self._announce()
            except SkfleetError as exc:
                log.warning("worker.not_announced", error=str(exc))
            except Exception as exc:  # noqa: BLE001  (without this thread nobody would know of the worker)
                log.error("worker.not_announced", kind=type(exc).__name__)  # noqa: TRY400  (it may hold keys)

    def _announce(self) -> None:
        seen = self._look()
        self._register.announce(
            WorkerPresence(
                worker=self._worker,
                host=node(),
                supervisor_pid=self._supervisor_pid,
                scorer_pids=seen.scorer_pids,
                versions=self._versions,
                allow_joblib=self._allow_joblib,
                working_on=seen.working_on,
                holdings=seen.holdings,
                seen_at=datetime.now(UTC),
            ),
            ttl_seconds=max(MIN_TTL_SECONDS, 3 * self._heartbeat_seconds),
        )
